"""Hard files of every kind, made and read in great numbers; what is timed for users is outside."""
