"""Who gives a command."""

from __future__ import annotations

import getpass


def person() -> str:
    """Who is at the keyboard, as the ledger names them."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a user without a name, as in some containers
        return "person"
