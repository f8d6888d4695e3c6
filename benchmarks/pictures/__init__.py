"""Pictures in colour: how well they are told apart by default, and what an image costs; no serving."""
