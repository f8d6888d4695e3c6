"""One version of a model on disk: fitted, written, exported, loaded, answering; which serves is outside."""
