"""Whether a retrain is due: labels since the last, age, drift; the retrain itself is in flows."""
