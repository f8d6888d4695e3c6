"""A look at the clusters that are configured, before anything is given to them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from configs.schema import UseCase
from configs.settings import Settings
from flows.compute.errors import ComputeError
from flows.compute.opening import address_of
from models.laws.configured import model_problem

PATIENCE = 5.0
"""Seconds for a scheduler to answer and to have a worker, and for each worker to tell its versions."""


def look_at_clusters(settings: Settings, use_cases: Iterable[UseCase]) -> Iterator[tuple[bool, str]]:
    """For each cluster whether the work of those use cases can be done there, and what was found."""
    by_address: dict[str, list[UseCase]] = {}
    for one in use_cases:
        if (scheduler := address_of(settings, one).scheduler) is not None:
            by_address.setdefault(scheduler, []).append(one)
    for sharing in by_address.values():
        try:
            yield True, _workers_of(settings, sharing)
        except ComputeError as error:
            yield False, str(error)


def _workers_of(settings: Settings, sharing: list[UseCase]) -> str:
    """Workers of the one cluster that these use cases have."""
    # Brings Dask, which nobody else needs.
    from flows.compute.cluster import connect
    from flows.compute.versions import packages_of

    # Which packages take part is not to be had of a model or encoder that is not here.
    whole = [one for one in sharing if model_problem(one) is None]
    packages = sorted({name for one in whole for name in packages_of(one)})
    pool = connect(address_of(settings, sharing[0]), settings.compute_certificates, packages, PATIENCE)
    try:
        return pool.told
    finally:
        pool.close()
