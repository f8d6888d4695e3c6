"""Fields of one number, truth, time or text, and how odd ones are read; fields of many are outside."""
