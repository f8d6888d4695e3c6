"""Have records, answers or labels moved, far enough and certainly; what is compared comes from flows."""
