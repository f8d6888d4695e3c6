"""API keys: random tokens that callers send, and the file that keeps their hashes.

A token has 256 random bits, so nobody can guess one, and its plain SHA-256 gives nothing away:
the slow, salted hashes that passwords need would only slow the service down.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import tempfile
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from configs.errors import ConfigError
from configs.security.origins import is_loopback
from configs.settings import Settings
from configs.spelling.near_names import meant, meant_choice
from configs.yaml_files import DocumentError, read_yaml

KeyScope = Literal["read", "predict", "feedback", "train", "admin"]
"""What a key allows: every key may read; `admin` may do everything."""
SCOPES: tuple[KeyScope, ...] = ("read", "predict", "feedback", "train", "admin")
PREFIX = "ratchet_"
"""Begins every token, so that people and programs that look for leaked secrets know it."""
NAME_FORM = r"^[A-Za-z0-9][A-Za-z0-9_.@-]{0,63}$"
ALLOWED_NAME = "a letter or digit, then up to 63 of letters, digits and _.@-"
_SPELLED = {"name": ALLOWED_NAME, "sha256": "64 hexadecimal digits in small letters"}
"""What the patterns of a key say, for people."""
_HEAD = "# API keys of Ratchet, written by `ratchet keys`. Only hashes are kept: a lost key is made anew.\n"


class ApiKey(BaseModel):
    """One key of the file: its name, its scopes and the hash of its token."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Annotated[str, Field(pattern=NAME_FORM)]
    """Name of its owner, which the ledger shows as actor."""
    scopes: Annotated[tuple[KeyScope, ...], Field(min_length=1)]
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    """SHA-256 of the token, in hexadecimal."""
    created_at: datetime | None = None


class KeyFile(BaseModel):
    """The content of the file of keys."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    keys: tuple[ApiKey, ...] = ()


class KeyFileError(ConfigError):
    """A file of keys that cannot be used."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"{path}: {reason}")


def token_hash(token: str) -> str:
    """SHA-256 of a token, in hexadecimal: all that is kept of it."""
    return hashlib.sha256(token.encode()).hexdigest()


def read_keys(path: Path) -> tuple[ApiKey, ...]:
    """The keys of a file, YAML or JSON; none where there is no file.

    Raises:
        KeyFileError: it cannot be read; the message names key, value and what is allowed.
    """
    try:
        content = read_yaml(path)
    except FileNotFoundError:
        return ()
    except DocumentError as error:
        raise KeyFileError(path, error.reason) from error
    try:
        keys = KeyFile.model_validate(content).keys
    except ValidationError as error:
        raise KeyFileError(path, _first_problem(error)) from error
    names = [key.name for key in keys]
    if repeated := {name for name in names if names.count(name) > 1}:
        raise KeyFileError(path, f"key '{min(repeated)}' is there twice; names must differ")
    return keys


def add_key(path: Path, name: str, scopes: Sequence[KeyScope]) -> str:
    """Make a key, keep its hash, and return its token, which is kept nowhere.

    Raises:
        KeyFileError: the name is taken or not allowed, or the file cannot be used.
    """
    keys = read_keys(path)
    if any(key.name == name for key in keys):
        raise KeyFileError(path, f"key '{name}' is there already; choose another name, or remove it first")
    token = PREFIX + secrets.token_urlsafe(32)
    now = datetime.now(UTC).replace(microsecond=0)
    try:
        key = ApiKey(name=name, scopes=tuple(scopes), sha256=token_hash(token), created_at=now)
    except ValidationError as error:
        raise KeyFileError(path, _first_problem(error)) from error
    _write(path, (*keys, key))
    return token


def remove_key(path: Path, name: str) -> ApiKey:
    """Remove a key and return it; servers refuse its token within seconds.

    Raises:
        KeyFileError: there is none of this name, or the file cannot be used.
    """
    keys = read_keys(path)
    removed = next((key for key in keys if key.name == name), None)
    if removed is None:
        names = [key.name for key in keys]
        known = ", ".join(names) or "none"
        raise KeyFileError(path, f"there is no key '{name[:80]}'{meant(name, names)}; known: {known}")
    _write(path, [key for key in keys if key is not removed])
    return removed


def require_keys(settings: Settings, host: str | None = None) -> None:
    """Refuse to serve others than this machine without keys; `host` is where the service would listen.

    Raises:
        KeyFileError: the file cannot be used.
        ConfigError: there are no keys, and the address is not a loopback one.
    """
    address = settings.host if host is None else host
    if not read_keys(settings.api_keys) and not is_loopback(address):
        raise ConfigError(
            f"the service would listen on {address} without API keys; allowed: a loopback address such as "
            "127.0.0.1 (RATCHET_HOST), or keys. `ratchet keys add NAME --scope predict` makes one and keeps "
            f"its hash in {settings.api_keys} (RATCHET_API_KEYS)"
        )


def _write(path: Path, keys: Iterable[ApiKey]) -> None:
    """Replace the file at once, for a server may read it at any moment; a new one is its owner's alone."""
    content = KeyFile(keys=tuple(keys)).model_dump(mode="json", exclude_none=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile("w", dir=path.parent, delete=False, encoding="utf-8") as file:
        file.write(_HEAD + yaml.safe_dump(content, sort_keys=False))
        file.flush()
        os.fsync(file.fileno())
    draft = Path(file.name)
    if path.exists():
        draft.chmod(path.stat().st_mode & 0o777)
    # Where a link stands for the file, what it leads to is replaced.
    draft.replace(path.resolve())


def _first_problem(error: ValidationError) -> str:
    problem = error.errors()[0]
    where = ".".join(str(part) for part in problem["loc"])[:80] or "the file"
    allowed = problem["msg"].removeprefix("Input should be ")
    if problem["type"] == "string_pattern_mismatch":
        allowed = _SPELLED.get(str(problem["loc"][-1]), allowed)
    return f"{where}: got {problem['input']!r:.80}; allowed: {allowed}{meant_choice(problem)}"
