"""Old predictions, out of the database in a table that other engines read; labels still find them."""
