"""Files that are answered by one worker and by several."""
