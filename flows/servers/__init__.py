"""MLflow's and Prefect's servers as Ratchet runs them: guarded, confined, with a password."""
