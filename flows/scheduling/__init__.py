"""What Prefect runs, when, and the worker that runs it and tells people; what a run does is outside."""
