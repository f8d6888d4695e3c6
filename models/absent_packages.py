"""Packages that a library tries to import again and again, and that are not installed.

To find out that there is none takes Python a look into every folder of packages, each time.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Sequence

OF_MLFLOW = ("dbruntime",)
"""What its client tries several times before each of the 40 requests of a retrain, to tell whether Databricks
runs it."""


def note_absent(names: Sequence[str]) -> None:
    """Have those that are not installed fail to import at once, for as long as this process lasts."""
    for name in names:
        if name not in sys.modules and importlib.util.find_spec(name) is None:
            sys.modules[name] = None  # type: ignore[assignment]
