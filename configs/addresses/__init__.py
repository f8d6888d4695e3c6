"""Addresses in variables: of the database and of the storage that machines share."""
