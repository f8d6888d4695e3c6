"""What is kept, in PostgreSQL and beside it: rows, answers, runs, snapshots; learning is outside."""
