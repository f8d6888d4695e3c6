"""What people change of labelled rows that are stored: relabelled, set aside, or taken back."""
