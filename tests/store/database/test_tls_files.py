"""Files of TLS that an address names: there, or named before anything starts."""

from __future__ import annotations

from pathlib import Path

import pytest

from store.database.tls_files import TLS_FILES, ensure_tls_files
from store.errors import DatabaseUnavailable

MODES = (
    "",
    "&sslmode=allow",
    "&sslmode=prefer",
    "&sslmode=require",
    "&sslmode=verify-ca",
    "&sslmode=verify-full",
)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", TLS_FILES)
def test_a_file_that_is_not_there_is_named_with_its_parameter(tmp_path: Path, name: str, mode: str) -> None:
    file = tmp_path / "mine.pem"
    url = f"postgresql://u:secret@h/db?{name}={file}{mode}"
    with pytest.raises(DatabaseUnavailable, match=rf"{name} .*{file}.*No such file or directory") as caught:
        ensure_tls_files(url)
    assert "secret" not in str(caught.value)
    file.touch()
    ensure_tls_files(url)


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://u@h/db?sslrootcert=/nowhere&sslmode=disable",
        "postgresql://u@/db?host=/run/postgresql&sslcert=/nowhere",
        "postgresql://u@h/db?sslrootcert=system&sslmode=verify-full",
        "postgresql://u@h/db",
    ],
)
def test_what_no_driver_reads_may_be_away(url: str) -> None:
    ensure_tls_files(url)


def test_a_folder_is_no_file_and_the_environment_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(DatabaseUnavailable, match="sslcrl"):
        ensure_tls_files(f"postgresql://u@h/db?sslcrl={tmp_path}")
    monkeypatch.setenv("PGSSLCERT", "/nowhere.pem")
    with pytest.raises(DatabaseUnavailable, match=r"PGSSLCERT in the environment names '/nowhere\.pem'"):
        ensure_tls_files("postgresql://u@h/db")
    monkeypatch.setenv("PGSSLMODE", "disable")
    ensure_tls_files("postgresql://u@h/db")
