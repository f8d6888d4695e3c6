"""A worker that starts soon: it imports nothing that servers do not have, and collects no garbage meanwhile.

Outside the image of the service there is more than servers need. scikit-learn imports pandas wherever it is
installed, with pyarrow: a tenth of a start and 50 MB in each worker, for nothing.
"""

from __future__ import annotations

import gc
import sys

UNUSED = ("pandas",)


def start_light() -> None:
    """In a worker, and nowhere else; its collector is turned on again once it serves (`service.worker`)."""
    if "--fd" not in sys.argv:
        return
    gc.disable()
    for module in UNUSED:
        if module not in sys.modules:
            vars(sys)["modules"][module] = None  # importing it fails as where it is not installed
