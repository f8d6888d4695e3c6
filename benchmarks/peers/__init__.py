"""The servers that Ratchet is measured beside, each as its own documentation would have it written."""
