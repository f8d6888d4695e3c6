"""How sources of labels stand: counted, held back by declared rules or by a person; labels are outside."""
