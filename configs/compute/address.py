"""An address where work is done: `local`, `local:4`, `dask://host:8786` or `tls://host:8786`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

ALLOWED = "local, local:N with N processes, dask://host:port, or tls://host:port with certificates"
MOST_PROCESSES = 256
_LOCAL = re.compile(r"local(?::(\d{1,4}))?")
_CLUSTER = re.compile(r"(dask|tls)://(\[[0-9A-Fa-f:.%]+\]|[A-Za-z0-9._-]+):(\d{1,5})/?")


@dataclass(frozen=True)
class ComputeAddress:
    """Where work is done, read and checked."""

    scheduler: str | None = None
    """Address of a Dask scheduler as Dask has it: `tcp://host:8786` or `tls://host:8786`; None: here."""
    processes: int | None = None
    """How many processes of this machine work; None: one a core, where that pays."""

    @property
    def is_encrypted(self) -> bool:
        """Whether it is a cluster that is reached by TLS."""
        return self.scheduler is not None and self.scheduler.startswith("tls:")


@dataclass(frozen=True)
class ComputeCertificates:
    """Files by which a TLS cluster and this client know each other; None: as Dask's configuration says."""

    ca: Path | None = None
    cert: Path | None = None
    key: Path | None = None


NO_CERTIFICATES = ComputeCertificates()


def read_compute(text: str) -> ComputeAddress:
    """The address that a text names.

    Raises:
        ValueError: it names none; the message says what came and what is allowed.

    >>> read_compute("dask://10.0.0.5:8786").scheduler
    'tcp://10.0.0.5:8786'
    >>> read_compute("local:4").processes
    4
    """
    if (local := _LOCAL.fullmatch(text)) is not None:
        count = None if local[1] is None else int(local[1])
        if count is None or 1 <= count <= MOST_PROCESSES:
            return ComputeAddress(processes=count)
    if (cluster := _CLUSTER.fullmatch(text)) is not None and 1 <= int(cluster[3]) <= 65535:
        scheme = "tls" if cluster[1] == "tls" else "tcp"
        return ComputeAddress(scheduler=f"{scheme}://{cluster[2]}:{cluster[3]}")
    raise ValueError(f"got {text[:80]!r}; allowed: {ALLOWED}")
