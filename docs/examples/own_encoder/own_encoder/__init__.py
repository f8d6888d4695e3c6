"""An encoder of texts by pairs of letters."""
