"""The server: answers over HTTP by what is production, takes labels, says how things stand; no training."""
