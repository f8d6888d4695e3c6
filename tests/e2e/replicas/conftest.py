"""Two servers, their PostgreSQL and MLflow, once for all tests of this folder."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.e2e.replicas.installation import Fleet, running_fleet
from tests.e2e.replicas.networks import why_no_network


@pytest.fixture(scope="package")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """Two servers that are ready, with version 1 in production."""
    if (why := why_no_network()) is not None:
        pytest.skip(why)
    with running_fleet(tmp_path_factory.mktemp("fleet")) as made:
        yield made
