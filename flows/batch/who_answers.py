"""Who answers a file: workers of a cluster, processes of this machine, or threads of this process."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from configs.compute.address import ComputeAddress
from configs.schema import UseCase
from configs.settings import Settings
from flows.batch.predict_file import AnsweredBy
from flows.compute.opening import address_of, opened_pool
from models.provenance.surroundings import usable_cores

LARGE_BYTES = 32_000_000
MANY_CORES = 4
"""From so many cores on, and so large a file, processes are faster than threads of one by more than they take
to start: what of an answer is Python keeps threads waiting for each other."""


@contextmanager
def who_answers(
    settings: Settings, use_case: UseCase, file: Path, artifact: Path, workers: int | None
) -> Iterator[AnsweredBy | None]:
    """The pool that answers while it lasts; None: threads of this process.

    Args:
        workers: processes of this machine, as the command was told; None: as it is configured.

    Raises:
        ComputeError: the cluster that is configured cannot be used.
    """
    if workers is not None:
        settings = replace(settings, compute=ComputeAddress(processes=workers))
    address = address_of(settings, use_case)
    pays = usable_cores() >= MANY_CORES and file.stat().st_size >= LARGE_BYTES
    if (
        address.scheduler is None
        and (address.processes or 0) < 2
        and not (pays and address.processes is None)
    ):
        yield None
        return
    with opened_pool(settings, use_case) as pool:
        yield AnsweredBy(pool, artifact, settings.home)
