"""What drift checks found, and Evidently's page of the last; the comparison itself is outside."""
