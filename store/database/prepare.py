"""Make the databases and tables of this release, by `python -m store.database.prepare`, without `ratchet up`.

Several at once wait for each other, and one that finds all as it should be changes nothing. The services of
the release before go on with tables of this one; those of this one want them first.
"""

from __future__ import annotations

import os
import sys

from configs.errors import ConfigError
from configs.settings import read_settings
from configs.variables import tell_set_in_vain
from store.database.connection import address, database_url, ensure_databases, migrate
from store.errors import DatabaseError


def main() -> None:
    """Do so with the database of `RATCHET_DATABASE_URL`, or of the home."""
    tell_set_in_vain(os.environ)
    try:
        url = database_url(read_settings())
        ensure_databases(url)
        migrate(url)
    except (ConfigError, DatabaseError) as error:
        sys.exit(f"ratchet: {error}")
    print(f"{address(url)}: databases and tables are those of this release")  # noqa: T201


if __name__ == "__main__":
    main()
