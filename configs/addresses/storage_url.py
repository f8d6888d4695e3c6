"""The address of the storage that machines share, brought into one form; credentials never stand in it."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from urllib.parse import quote, unquote

from configs.errors import SettingError

VARIABLE = "RATCHET_STORAGE"
NOTE = "storage.json"
FORM = "s3://bucket/prefix, file:///folder, or nothing for the folders of RATCHET_HOME"
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_OTHERS = {
    "gs": "s3://bucket/prefix with AWS_ENDPOINT_URL=https://storage.googleapis.com and an HMAC key",
    "s3a": "s3://bucket/prefix",
    "s3n": "s3://bucket/prefix",
    "http": "s3://bucket/prefix, with that address in AWS_ENDPOINT_URL",
    "https": "s3://bucket/prefix, with that address in AWS_ENDPOINT_URL",
}


def read_storage_url(text: str) -> str:
    """The address without a slash at its end.

    >>> read_storage_url("s3://models/ratchet/"), read_storage_url("file:///srv/ratchet")
    ('s3://models/ratchet', 'file:///srv/ratchet')

    Raises:
        SettingError: it is no such address; what could be a secret in it is not repeated.
    """
    scheme, separator, rest = text.strip().partition("://")
    scheme = scheme.lower()
    if not separator or scheme not in ("s3", "file"):
        shown = f"{scheme[:20]}://..." if separator else f"{_shown(text.strip())}"
        raise SettingError(VARIABLE, shown, _OTHERS.get(scheme, FORM))
    if "@" in rest:
        allowed = "an address without credentials: those go into AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
        raise SettingError(VARIABLE, f"{scheme}://...@{_shown(rest.rpartition('@')[2])}", allowed)
    if "?" in rest or "#" in rest:
        shown = _shown(re.split(r"[?#]", rest)[0])
        raise SettingError(VARIABLE, f"{scheme}://{shown}?...", "an address without ? and #")
    return _bucket_url(rest) if scheme == "s3" else _folder_url(rest)


def noted_storage(home: Path) -> str | None:
    """Address of the storage that a home was last started with; None: its own folders."""
    try:
        noted = json.loads((home / NOTE).read_text(encoding="utf-8"))["url"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return noted if isinstance(noted, str) and noted != folder_url(home) else None


def note_storage(home: Path, url: str | None) -> None:
    """Write down which it is, for commands whose environment does not say."""
    draft = home / f".{NOTE}.{os.getpid()}"
    draft.write_text(json.dumps({"url": url or folder_url(home)}) + "\n", encoding="utf-8")
    draft.replace(home / NOTE)


def bucket_of(url: str) -> tuple[str, str]:
    """Bucket and prefix of an `s3://` address.

    >>> bucket_of("s3://models/a/b"), bucket_of("s3://models")
    (('models', 'a/b'), ('models', ''))
    """
    bucket, _, prefix = url.removeprefix("s3://").partition("/")
    return bucket, prefix


def folder_of(url: str) -> Path:
    """Folder of a `file://` address."""
    return Path(unquote(url.removeprefix("file://")))


def folder_url(folder: Path) -> str:
    """The address of a folder of this machine.

    >>> folder_url(Path("/srv/a b"))
    'file:///srv/a%20b'
    """
    return f"file://{quote(str(folder))}"


def without_secrets(url: str) -> str:
    """An address as it may be shown: without user, password and query.

    >>> without_secrets("http://me:secret@minio:9000/x?token=1")
    'http://...@minio:9000/x?...'
    """
    return re.sub(r"//[^/]*@", "//...@", re.sub(r"\?.*", "?...", url))


def _bucket_url(rest: str) -> str:
    bucket, _, prefix = rest.rstrip("/").partition("/")
    if _BUCKET.fullmatch(bucket) is None or ".." in bucket:
        allowed = f"{FORM}; a bucket has 3 to 63 small letters, digits, dots and hyphens"
        raise SettingError(VARIABLE, f"s3://{_shown(rest)}", allowed)
    parts = prefix.split("/") if prefix else []
    if any(re.fullmatch(r"[A-Za-z0-9_.=-]+", part) is None or set(part) == {"."} for part in parts):
        allowed = "a prefix of letters, digits and _ . = -, parted by single slashes"
        raise SettingError(VARIABLE, f"s3://{_shown(rest)}", allowed)
    return "s3://" + "/".join([bucket, *parts])


def _folder_url(rest: str) -> str:
    folder = Path(unquote(rest))
    if not rest.startswith("/") or ".." in folder.parts or "\0" in str(folder) or folder == Path("/"):
        raise SettingError(
            VARIABLE, f"file://{_shown(rest)}", "a folder from the root on: file:///srv/ratchet"
        )
    return folder_url(folder)


def _shown(text: str) -> str:
    """The beginning of what came, without what steers a terminal."""
    return "".join(character if character.isprintable() else "?" for character in text[:80])
