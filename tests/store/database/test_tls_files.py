"""Files of TLS that an address names: there, or named before anything starts."""

from __future__ import annotations

from pathlib import Path

import pytest

from configs.settings import Settings, read_settings
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


def naming(url: str, **more: str) -> Settings:
    """Of an environment that names the address."""
    return read_settings({"RATCHET_DATABASE_URL": url, **more})


def test_the_variable_that_names_the_file_is_told(tmp_path: Path) -> None:
    own, direct = ("postgresql://u@h/db", f"postgresql://u@h/db?sslrootcert={tmp_path / 'gone'}")
    with pytest.raises(DatabaseUnavailable, match=r"^sslrootcert in RATCHET_DATABASE_DIRECT_URL names"):
        ensure_tls_files(naming(own, RATCHET_DATABASE_DIRECT_URL=direct))


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", TLS_FILES)
def test_a_file_that_is_not_there_is_named_with_its_parameter(tmp_path: Path, name: str, mode: str) -> None:
    file = tmp_path / "mine.pem"
    url = f"postgresql://u:secret@h/db?{name}={file}{mode}"
    with pytest.raises(
        DatabaseUnavailable, match=rf"{name} in RATCHET_DATABASE_URL .*{file}.*No such file or directory"
    ) as caught:
        ensure_tls_files(naming(url))
    assert "secret" not in str(caught.value)
    file.touch()
    ensure_tls_files(naming(url))


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
    ensure_tls_files(naming(url))


def test_a_folder_is_no_file_and_the_environment_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(DatabaseUnavailable, match="sslcrl"):
        ensure_tls_files(naming(f"postgresql://u@h/db?sslcrl={tmp_path}"))
    monkeypatch.setenv("PGSSLCERT", "/nowhere.pem")
    with pytest.raises(DatabaseUnavailable, match=r"PGSSLCERT in the environment names '/nowhere\.pem'"):
        ensure_tls_files(naming("postgresql://u@h/db"))
    monkeypatch.setenv("PGSSLMODE", "disable")
    ensure_tls_files(naming("postgresql://u@h/db"))
