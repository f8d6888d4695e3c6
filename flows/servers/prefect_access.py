"""The password of the Prefect server that Ratchet starts, and the profile by which its clients know it.

Whoever may ask Prefect for a flow run has this machine run code. So its server wants a password on every
call: made at first start, kept in the home, and found by every client in a profile of Prefect's own kind.
It is in no command line; the address of a browser's sign-in never leaves the machine either.
"""

from __future__ import annotations

import base64
import json
import os
import secrets
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from configs.settings import Settings
from store.database.embedded import write_private

PROFILE = "ratchet"
USER = "ratchet"
VARIABLES = ("PREFECT_SERVER_API_AUTH_STRING", "PREFECT_API_AUTH_STRING")
"""Prefect's own, which win where they are set: what the server wants, and what clients send."""


def password_file(home: Path) -> Path:
    """Where the password is kept: one line, `user:password`, which is also what Prefect's page asks for."""
    return home / "prefect" / "password"


def profiles_file(home: Path) -> Path:
    """Where Prefect's clients find address and password; `prefect.toml` of the checkout leads here too."""
    return home / "prefect" / "profiles.toml"


def read_password(settings: Settings, environ: Mapping[str, str] | None = None) -> str | None:
    """What clients of the server must show; None where there is no password yet."""
    env = os.environ if environ is None else environ
    for name in VARIABLES:
        if env.get(name):
            return env[name]
    try:
        return password_file(settings.home).read_text(encoding="utf-8").strip() or None
    except FileNotFoundError:
        return None


def ensure_password(settings: Settings, environ: Mapping[str, str] | None = None) -> str:
    """The password, made where there is none; clients' profile says the same afterwards."""
    password = read_password(settings, environ)
    password_file(settings.home).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if password is None:
        password = f"{USER}:{secrets.token_hex(32)}"
        write_private(password_file(settings.home), password + "\n")
    _write_profile(settings, password)
    return password


def auth_headers(settings: Settings, environ: Mapping[str, str] | None = None) -> dict[str, str]:
    """The `Authorization` header that Prefect's API wants; empty where there is neither password nor key."""
    env = os.environ if environ is None else environ
    key = env.get("PREFECT_API_KEY")
    own = settings.starts_prefect or any(env.get(name) for name in VARIABLES)
    password = read_password(settings, env) if own else None
    if password is not None:
        return {"Authorization": "Basic " + base64.b64encode(password.encode()).decode()}
    return {"Authorization": f"Bearer {key}"} if key else {}


def profile_environment(settings: Settings) -> dict[str, str]:
    """Variables by which Prefect reads the profile; none where there is none, or the server is the user's."""
    if not settings.starts_prefect or not profiles_file(settings.home).is_file():
        return {}
    return {"PREFECT_PROFILES_PATH": str(profiles_file(settings.home)), "PREFECT_PROFILE": PROFILE}


def _write_profile(settings: Settings, password: str) -> None:
    """Put address and password into the profile; others that people keep in the file stay."""
    path = profiles_file(settings.home)
    previous = _read_profiles(path)
    profiles = dict(previous.get("profiles", {}))
    own_settings = {"PREFECT_API_URL": settings.prefect_url, VARIABLES[1]: password}
    profiles[PROFILE] = {**profiles.get(PROFILE, {}), **own_settings}
    updated = {"active": previous.get("active", PROFILE), "profiles": profiles}
    if updated != previous:
        write_private(path, _toml(updated))


def _read_profiles(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}


def _toml(content: Mapping[str, Any]) -> str:
    """Tables of texts, as Prefect's profiles are; a text of JSON is one of TOML."""
    lines = ["# Written by `ratchet up`.", f"active = {json.dumps(content['active'])}"]
    for name, values in content["profiles"].items():
        lines += ["", f"[profiles.{json.dumps(name)}]"]
        lines += [f"{json.dumps(key)} = {json.dumps(str(value))}" for key, value in values.items()]
    return "\n".join(lines) + "\n"
