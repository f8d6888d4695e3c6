"""The processes of an installation: started, watched, known again, stopped; what each serves is outside."""
