"""What a record may hold: the rules of its fields and labels, how they refuse; reading files is outside."""
