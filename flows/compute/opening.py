"""The pool that a use case's work goes to, as the environment or its configuration says."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from configs.compute.address import ComputeAddress, read_compute
from configs.schema import UseCase
from configs.settings import Settings
from flows.compute.contract import Pool
from flows.compute.local import LocalPool
from models.provenance.surroundings import usable_cores


def address_of(settings: Settings, use_case: UseCase) -> ComputeAddress:
    """Where its work is done: by the environment, else by its configuration, else here."""
    if settings.compute is not None:
        return settings.compute
    return ComputeAddress() if use_case.compute is None else read_compute(use_case.compute)


@contextmanager
def opened_pool(settings: Settings, use_case: UseCase, *, width: int | None = None) -> Iterator[Pool]:
    """A pool for the work of a use case while it lasts; what is not done at the end is given up.

    Args:
        width: processes of this machine where the address does not say how many; None: one a core.

    Raises:
        ComputeError: the cluster that is named cannot be used, and why.
    """
    address = address_of(settings, use_case)
    pool: Pool | None = None
    try:
        if address.scheduler is None:
            count = address.processes or width or usable_cores()
            pool = LocalPool(count, settings.home / "work")
        else:
            # Brings Dask, which nobody else needs.
            from flows.compute.cluster import connect
            from flows.compute.versions import packages_of

            pool = connect(address, settings.compute_certificates, packages_of(use_case))
        yield pool
    finally:
        if pool is not None:
            pool.close()
