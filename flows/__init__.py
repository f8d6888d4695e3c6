"""The loop and what runs it: Prefect flows, their worker, the servers, the command; no rule of judgement."""
