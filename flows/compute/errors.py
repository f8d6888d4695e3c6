"""Errors of the pools that work is given to.

ComputeError
├── DaskMissing
├── ComputeUnavailable
├── WorkersDiffer
└── WorkLost

Each is made of one sentence, so that it can travel from a worker to who asked.
"""

from __future__ import annotations

INSTALL = "pip install 'distributed>=2026.7'"


class ComputeError(Exception):
    """Work that could not be done where it was to be done."""


class DaskMissing(ComputeError):
    """A cluster is configured, and this installation has nothing that speaks to one."""


class ComputeUnavailable(ComputeError):
    """No scheduler answers at the configured address, or it has no worker."""


class WorkersDiffer(ComputeError):
    """A worker has other versions of what takes part; it names worker and packages."""


class WorkLost(ComputeError):
    """The pool went away with work in hand, or that work ended its processes again and again."""
