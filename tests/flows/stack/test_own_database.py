"""A PostgreSQL of the user's own whose address cannot be used: said before anything starts."""

from __future__ import annotations

from pathlib import Path

import pytest

from configs.settings import read_settings
from flows import doctor
from flows.stack.starting import bring_up
from store.errors import DatabaseUnavailable


def test_doctor_and_up_say_it_before_anything_starts(database_url: str, tmp_path: Path) -> None:
    separator = "&" if "?" in database_url else "?"
    url = f"{database_url}{separator}sslmode=prefer&sslrootcert=/nowhere.pem"
    settings = read_settings({"RATCHET_HOME": str(tmp_path / "home"), "RATCHET_DATABASE_URL": url})
    finding = next(one for one in doctor.examine(settings) if one.what == "database")
    assert not finding.ok
    assert "sslrootcert in RATCHET_DATABASE_URL names '/nowhere.pem'" in finding.found
    with pytest.raises(DatabaseUnavailable, match="sslrootcert"):
        bring_up(settings, lambda _name, _state: None)
