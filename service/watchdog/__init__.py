"""What a version does to the worker that runs it: crashes, hangs; not: what serves instead (swap)."""
