"""Properties of a table that lies in an object store are set by a process of its own.

While Delta sets them it holds the lock of Python: until the store has answered, no thread of the process goes
on, and none tells that the run is alive.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping

from deltalake import DeltaTable, exceptions

from configs.settings import CHECKOUT


def set_properties(
    table: DeltaTable, uri: str, options: Mapping[str, str], properties: Mapping[str, str]
) -> None:
    """Set properties of a table, which knows of them then, and of whatever else has come.

    Raises:
        DeltaError: they cannot be set; `CommitFailedError` where another process has set some at once.
    """
    if "://" not in uri:
        _set(table, properties)
        return
    told = json.dumps({"uri": uri, "options": dict(options), "properties": dict(properties)})
    done = subprocess.run(
        [sys.executable, "-m", __name__],
        input=told,
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        kind, _, said = (done.stderr.strip().splitlines() or [""])[-1].partition(": ")
        raised = getattr(exceptions, kind, exceptions.DeltaError)
        raise raised(said or f"its properties cannot be set: the process ended with {done.returncode}")
    table.update_incremental()


def _set(table: DeltaTable, properties: Mapping[str, str]) -> None:
    table.alter.set_table_properties(dict(properties), raise_if_not_exists=False)


def main() -> None:
    """Set what stdin tells; the last line of stderr says why it cannot be done."""
    told = json.load(sys.stdin)
    try:
        _set(DeltaTable(told["uri"], storage_options=told["options"]), told["properties"])
    except (exceptions.DeltaError, OSError) as error:
        sys.exit(f"{type(error).__name__}: {' '.join(str(error).split())}")


if __name__ == "__main__":
    main()
