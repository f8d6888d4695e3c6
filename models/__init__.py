"""What learns and what it is worth: estimators, versions, the gate, production; the loop is outside."""
