"""What MLflow imports of a model: it lies beside `ratchet.zip`, which has all other code of the model.

It is copied from here, and runs where nothing of ours is installed.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

ARCHIVE = "ratchet.zip"


def _load_pyfunc(data_path: str) -> Any:
    """MLflow's entry point; the path is that of the artifact."""
    archive = str(Path(__file__).with_name(ARCHIVE))
    if archive not in sys.path:
        sys.path.insert(0, archive)
    from models.pyfunc import load_model

    return load_model(data_path)
