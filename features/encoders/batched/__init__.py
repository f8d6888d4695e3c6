"""How encoders learn from rows that come in batches and are not kept; how they encode is outside."""
