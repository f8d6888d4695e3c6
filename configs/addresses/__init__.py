"""Addresses in variables: of the database, of the storage that machines share, of web servers."""
