"""How names and words are spelled: letters in one form, and the nearest of the names that may be meant."""
