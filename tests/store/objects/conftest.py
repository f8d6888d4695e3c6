"""Each storage that there is, empty: a folder, and a bucket on a real server of S3."""

from __future__ import annotations

from pathlib import Path

import pytest

from store.objects.contract import Storage
from store.objects.opening import storage_at


@pytest.fixture(params=["folder", "bucket", "prefix"])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Storage:
    if request.param == "folder":
        folder = tmp_path / "shared"
        folder.mkdir()
        return storage_at(f"file://{folder}")
    url = request.getfixturevalue("bucket")
    return storage_at(url if request.param == "bucket" else f"{url}/team/ratchet")
