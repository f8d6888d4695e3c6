"""Which names a server answers to, and which pages may call it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from configs.errors import SettingError
from configs.security.origins import OriginPolicy, canonical_host, host_name, is_unspecified, same_origin
from configs.settings import read_settings

POLICY = OriginPolicy(["ratchet.example", "10.0.0.5"], ["https://page.example"])


def sent(**headers: str) -> list[tuple[bytes, bytes]]:
    return [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]


@pytest.mark.parametrize(
    "host",
    [
        "localhost", "localhost:3000", "LOCALHOST:3000", "127.0.0.1:3000", "127.8.8.8", "[::1]:3000", "[::1]",
        "localhost.", "ratchet.example", "Ratchet.Example:443", "10.0.0.5:3000", "192.168.7.7:3000",
    ],
)  # fmt: skip
def test_it_answers_to_its_own_names(host: str) -> None:
    assert POLICY.check("POST", sent(host=host), bound="192.168.7.7") is None
    assert POLICY.check("POST", sent(host=host), bound="192.168.7.7") is None  # also when it is remembered


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:3000",
        "localhost.evil.example",
        "127.0.0.1.evil.example",
        "10.evil.example",
        "ratchet.example.evil.example",
        "192.168.7.8",
        "0.0.0.0:3000",
        "",
        ":3000",
        "localhost:99999999",
        "localhost:x",
        "user@localhost",
        "localhost@evil.example",
        "[::1",
        "[::1]x",
        "[evil]",
        "::1",
        "[::2]:3000",
        "localhost/evil",
        "localhost:3000:3000",
        "lo\u017fcalhost",
        "localhost, evil.example",
        "localhost\x00",
    ],
)
def test_a_name_that_was_bent_to_this_machine_is_refused(host: str) -> None:
    refusal = POLICY.check("GET", sent(host=host), bound="192.168.7.7")
    assert refusal is not None
    assert refusal.header == "Host"
    assert "RATCHET_ALLOWED_HOSTS" in refusal.message
    assert f"'{host.encode().decode('latin-1')}'" in refusal.message


def test_every_host_header_is_looked_at() -> None:
    twice = [*sent(host="localhost"), *sent(host="evil.example")]
    assert POLICY.check("GET", twice) is not None
    assert POLICY.check("GET", twice[::-1]) is not None


def test_the_bound_address_counts_for_its_own_connection_only() -> None:
    policy = OriginPolicy()
    assert policy.check("GET", sent(host="192.168.7.7"), bound="192.168.7.7") is None
    assert policy.check("GET", sent(host="192.168.7.7"), bound="192.168.7.8") is not None


def test_a_program_without_a_browser_is_let_in() -> None:
    assert OriginPolicy().check("POST", []) is None
    assert OriginPolicy().check("POST", sent(host="localhost:3000", content_type="text/plain")) is None


@pytest.mark.parametrize(
    ("origin", "host"),
    [
        ("http://localhost:3000", "localhost:3000"),
        ("http://localhost", "localhost"),
        ("http://LOCALHOST:80", "localhost"),
        ("https://ratchet.example", "ratchet.example:443"),
        ("https://ratchet.example", "RATCHET.example"),
        ("https://ratchet.example:443", "ratchet.example"),
        ("http://[::1]:3000", "[::1]:3000"),
        ("https://page.example", "localhost:3000"),
        ("https://PAGE.example", "localhost:3000"),
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE", "OPTIONS"])
def test_its_own_pages_and_those_allowed_may_call(origin: str, host: str, method: str) -> None:
    assert POLICY.check(method, sent(host=host, origin=origin, sec_fetch_site="cross-site")) is None


@pytest.mark.parametrize(
    ("origin", "host"),
    [
        ("https://evil.example", "localhost:3000"),
        ("http://localhost:8888", "localhost:3000"),
        ("http://127.0.0.1:3000", "localhost:3000"),
        ("http://localhost", "localhost:3000"),
        ("http://ratchet.example", "ratchet.example:443"),
        ("https://page.example:8443", "localhost:3000"),
        ("https://page.example.evil.example", "localhost:3000"),
        ("null", "localhost:3000"),
        ("", "localhost:3000"),
        ("file://", "localhost"),
        ("chrome-extension://localhost", "localhost"),
        ("http://localhost:abc", "localhost:3000"),
        ("http://[::1", "localhost:3000"),
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE", "OPTIONS"])
def test_pages_of_other_origins_may_not(origin: str, host: str, method: str) -> None:
    refusal = POLICY.check(method, sent(host=host, origin=origin))
    assert refusal is not None
    assert refusal.header == "Origin"
    assert f"got '{origin}'" in refusal.message


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_a_page_of_another_site_may_link_here_and_no_more(site: str) -> None:
    def asks(method: str, mode: str, dest: str) -> bool:
        headers = sent(host="localhost:1", sec_fetch_site=site, sec_fetch_mode=mode, sec_fetch_dest=dest)
        return POLICY.check(method, headers) is None

    assert asks("GET", "navigate", "document")
    assert not asks("POST", "navigate", "document")
    assert not asks("GET", "navigate", "iframe")
    assert not asks("GET", "no-cors", "script")
    assert not asks("GET", "no-cors", "image")
    assert not asks("GET", "cors", "empty")
    assert not asks("GET", "websocket", "empty")


@pytest.mark.parametrize("site", ["same-origin", "none"])
def test_what_the_owner_types_and_the_own_page_asks_is_let_in(site: str) -> None:
    for dest in ("document", "iframe", "script", "empty"):
        assert (
            POLICY.check("POST", sent(host="localhost:1", sec_fetch_site=site, sec_fetch_dest=dest)) is None
        )


@given(st.text(max_size=40), st.text(max_size=40))
def test_odd_headers_raise_nothing(origin: str, host: str) -> None:
    headers = [(b"host", host.encode("utf-8")), (b"origin", origin.encode("utf-8"))]
    POLICY.check("POST", headers)
    host_name(host)
    same_origin(origin, host)


@given(st.ip_addresses())
def test_an_address_means_the_same_in_every_spelling(address: object) -> None:
    text = str(address)
    bracketed = f"[{text}]" if ":" in text else text
    assert host_name(bracketed) == host_name(f"{bracketed}:3000") == canonical_host(text) == text


def test_allowed_hosts_are_names_without_scheme_or_port() -> None:
    settings = read_settings({"RATCHET_ALLOWED_HOSTS": " Ratchet.Example, 10.0.0.5 ,::1,[fe80::1]"})
    assert settings.allowed_hosts == ("ratchet.example", "10.0.0.5", "::1", "fe80::1")
    for wrong in ("https://ratchet.example", "ratchet.example:3000", "*", "*.example", "a b", "/x"):
        with pytest.raises(SettingError, match="RATCHET_ALLOWED_HOSTS"):
            read_settings({"RATCHET_ALLOWED_HOSTS": wrong})


def test_unspecified_addresses() -> None:
    assert is_unspecified("0.0.0.0")
    assert is_unspecified("::")
    assert not is_unspecified("127.0.0.1")
    assert not is_unspecified("ratchet.example")
