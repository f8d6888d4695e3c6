"""The database: where it is, connections, the embedded server, migrations; what tables hold is outside."""
