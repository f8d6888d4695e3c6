"""MLflow's and Prefect's servers as Ratchet runs them: guarded, confined; starting them is in stack."""
