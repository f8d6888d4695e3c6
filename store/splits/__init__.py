"""Taking a snapshot: which rows are of one record, and which are learned from or judged on."""
