"""The local servers: PostgreSQL, MLflow, Prefect and its worker, and the service."""
