"""A classifier of tables in Keras."""
