"""Addresses of PostgreSQL as managed services write them: read, or refused by the parameter's name."""

from __future__ import annotations

from pathlib import Path

import pytest

from configs.addresses.database_url import parameters, read_database_url, session_settings, variable_of
from configs.errors import SettingError
from configs.settings import read_settings


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("postgres://u:p@h/db", "postgresql://u:p@h/db"),
        ("postgresql+psycopg://u:p@h/db", "postgresql://u:p@h/db"),
        ("postgresql+asyncpg://u:p@h/db", "postgresql://u:p@h/db"),
        ("POSTGRES://u:p@h/db", "postgresql://u:p@h/db"),
        (" postgresql://u@h/db\n", "postgresql://u@h/db"),
        ("postgresql://u:a%40b%2Fc%3A@h/db", "postgresql://u:a%40b%2Fc%3A@h/db"),
        ("postgresql://u:a[b]c?d=e#f&@h/db", "postgresql://u:a%5Bb%5Dc%3Fd=e%23f&@h/db"),
        ('postgresql://u v:a b"\u00fc@h/db', "postgresql://u%20v:a%20b%22%C3%BC@h/db"),
        ("postgresql://h/db?user=me@there", "postgresql://h/db?user=me@there"),
        ("postgresql://u@[::1]:5433/db", "postgresql://u@[::1]:5433/db"),
        ("postgresql://u@a:1,b:2/db?target_session_attrs=read-write",) * 2,
        ("postgresql://u@/db?host=/cloudsql/p:r:i",) * 2,
        ("postgresql://u@h/db?sslmode=require&channel_binding=require",) * 2,
        ("postgresql://u@h/db?options=-c%20search_path%3Dr&application_name=r&connect_timeout=3",) * 2,
        ("postgresql://u@h/db?keepalives=1&keepalives_idle=5&gssencmode=disable",) * 2,
        ("postgresql://u@h/db?sslmode=verify-full&sslrootcert=system",) * 2,
        ("postgresql://u@h/db?pgbouncer=true&sslmode=require", "postgresql://u@h/db?sslmode=require"),
        ("postgresql://u@h/db?options=-cwork_mem=4MB", "postgresql://u@h/db?options=-cwork_mem%3D4MB"),
        ("postgresql://u@h/db?options=-c work_mem=4MB", "postgresql://u@h/db?options=-c%20work_mem%3D4MB"),
        ("postgresql://u@h/db?options=--work-mem%3D4MB&sslmode=require",) * 2,
        ("postgresql://h", "postgresql://h"),
        ("postgresql://", "postgresql://"),
    ],
)
def test_an_address_is_read(text: str, read: str) -> None:
    assert read_database_url(text) == read


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("mysql://u:secret@h/db", ["mysql:..."]),
        ("jdbc:postgresql://h/db?password=secret", ["jdbc:..."]),
        ("h:5432/secret", ["RATCHET_DATABASE_URL"]),
        ("postgresql://u:secret@h/db?sslrootcert=system&sslmode=require", ["sslmode=require", "verify-full"]),
        ("postgresql://u:secret@h/db?tcp_user_timeout=1s", ["tcp_user_timeout=1s", "whole number"]),
        ("postgresql://u:secret@h/db?ssl_min_protocol_version=1.2", ["=1.2", "TLSv1.2"]),
        ("postgresql://u:secret@h/db?connection_limit=5", ["?connection_limit=", "take this one out"]),
        ("postgresql://u:secret@h/db?sslmode=on", ["sslmode=on", "verify-full"]),
        ("postgresql://u:secret@h/db?sslmode=require&sslmode=disable", ["sslmode=disable", "sslmode once"]),
        ("postgresql://u:secret@h/db?ssl=true&sslmode=disable", ["sslmode once"]),
        ("postgresql://u:secret@h/db?connect_timeout=3&connect_timeout=4", ["connect_timeout once"]),
        ("postgresql://u:secret@h/db?target_session_attrs=standby", ["target_session_attrs=standby"]),
        ("postgresql://u:secret@h/db?gssencmode=require", ["gssencmode=require"]),
        ("postgresql://u:secret@h/db?connect_timeout=soon", ["connect_timeout=soon", "whole number"]),
        ("postgresql://u:secret@h:0/db", ["port=0"]),
        ("postgresql://u:secret@h:70000/db", ["port=70000"]),
        ("postgresql://u:secret@h:x/db", ["port=x"]),
        ("postgresql://u:sec@ret@h/db", ["%40"]),
        ("postgresql://u:secret/x@h/db", ["%2F"]),
        ("postgresql://u:12/secret@h/db", ["%2F"]),
        ("postgresql://u:12/secret?x@h/db", ["%2F"]),
        ("postgresql://u:secret", ["port=..."]),
        ("postgresql://h/db?user=u&password=secret&password=secret", ["password once"]),
        ("postgresql://h/db?sslpassword=a&sslpassword=secret", ["sslpassword once"]),
        ("postgresql://h/my secret?sslmode=require", ["spaces", "%20"]),
        ("host=h password=secret user=u sslrootcert=c:\\x", ["RATCHET_DATABASE_URL"]),
        ("postgresql://u:secret@[::1/db", ["RATCHET_DATABASE_URL"]),
        ("postgresql://u:secret@h/db?service=mine", ["service=mine"]),
        ("postgresql://u:secret@h/db?options=-B%2016", ["options=-B 16"]),
        ("postgresql://u:secret%zz@h/db", ["RATCHET_DATABASE_URL"]),
    ],
)
def test_what_cannot_be_kept_is_refused_by_name_and_without_the_password(text: str, words: list[str]) -> None:
    with pytest.raises(SettingError) as caught:
        read_database_url(text)
    for word in words:
        assert word in str(caught.value)
    assert "secret" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_files_are_found_from_any_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    read = read_database_url("postgresql://u@h/db?sslmode=verify-ca&sslrootcert=my%20ca.pem")
    assert parameters(read)["sslrootcert"] == str(tmp_path / "my ca.pem")


def test_options_are_settings_of_the_session() -> None:
    assert session_settings(r"-c search_path=a\ b -cx.y=1 --lock-timeout=3") == {
        "search_path": "a b",
        "x.y": "1",
        "lock_timeout": "3",
    }
    assert session_settings("-c") is None


def test_the_direct_address_is_read_alike_and_named_itself() -> None:
    home = {"RATCHET_DATABASE_URL": "postgres://u@pooler/db?pgbouncer=true"}
    settings = read_settings({**home, "RATCHET_DATABASE_DIRECT_URL": "postgres://u@h/db"})
    assert settings.direct_database_url == "postgresql://u@h/db"
    assert read_settings(home).direct_database_url is None
    with pytest.raises(SettingError, match=r"^RATCHET_DATABASE_DIRECT_URL has .*sslmode=on.*verify-full"):
        read_settings({**home, "RATCHET_DATABASE_DIRECT_URL": "postgres://u:secret@h/db?sslmode=on"})
    with pytest.raises(SettingError, match="one beside RATCHET_DATABASE_URL"):
        read_settings({"RATCHET_DATABASE_DIRECT_URL": "postgres://u@h/db"})


def test_the_variable_is_known_by_the_server_that_it_leads_to() -> None:
    one, two = "postgres://u:p@h:6432/r", "postgresql://u:p@h/r"
    environ = {"RATCHET_DATABASE_URL": one, "RATCHET_DATABASE_DIRECT_URL": two}
    assert variable_of(read_database_url(one), environ) == "RATCHET_DATABASE_URL"
    assert variable_of("postgresql://u:p@h:6432/r_mlflow", environ) == "RATCHET_DATABASE_URL"
    assert variable_of(two, environ) == "RATCHET_DATABASE_DIRECT_URL"
    assert variable_of("postgresql://ratchet@127.0.0.1:6432/r", environ) is None
    assert variable_of(two, {}) is None
