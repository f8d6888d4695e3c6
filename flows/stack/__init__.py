"""The processes of an installation: started, watched, recognised, stopped; what each serves is outside."""
