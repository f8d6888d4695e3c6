"""How a bucket is reached: the usual `AWS_*` variables, for three clients that each read them differently.

boto3 reads `AWS_DEFAULT_REGION`, the others `AWS_REGION`; pyarrow knows no `AWS_ENDPOINT_URL_S3`; servers of
others than Amazon want the bucket in the path, where boto3 guesses. Here all is read once and told to each.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from urllib.parse import urlsplit

from configs.addresses.storage_url import VARIABLE, without_secrets
from configs.errors import SettingError
from store.errors import StorageRefused

INSTALL = "pip install 'boto3>=1.40'"
KEYS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
CONNECT_SECONDS, READ_SECONDS, ATTEMPTS = 5, 60, 3
LOOK_SECONDS, LOOK_ATTEMPTS = 10, 2
"""The same for who only asks whether it answers."""
KEPT_SECONDS = 300.0
"""After so long what boto3 finds in files is looked up again; keys in them may have been replaced."""
_ENDPOINTS = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL")
_REGIONS = ("AWS_REGION", "AWS_DEFAULT_REGION")
_VIRTUAL = "AWS_VIRTUAL_HOSTED_STYLE_REQUEST"
_RENEWED = ("iam-role", "container-role", "assume-role-with-web-identity", "login")
"""Credentials that end soon, and that Arrow and Delta fetch and renew by themselves."""


@dataclass(frozen=True)
class S3Access:
    """What the variables say; credentials are left with boto3, which knows where they may be."""

    endpoint: str | None
    """`AWS_ENDPOINT_URL`; None: Amazon's."""
    region: str | None
    """`AWS_REGION`; None: what a profile names, else `us-east-1`."""
    virtual: bool
    """Whether the bucket is a part of the host's name."""
    patient: bool = True
    """Whether boto3 waits as long as a large object may take."""

    @property
    def place(self) -> str:
        """Where it is, as it may be shown."""
        return "Amazon S3" if self.endpoint is None else without_secrets(self.endpoint)

    def client(self) -> Any:
        """boto3's client, for any number of threads; the same one for a while, as it takes 70 ms to make.

        Raises:
            StorageRefused: boto3 is not installed, or its own files of configuration are wrong.
        """
        variables = tuple(sorted(item for item in os.environ.items() if item[0].startswith("AWS_")))
        return _client(self, variables, os.getpid(), time.monotonic() // KEPT_SECONDS)

    def arrow(self) -> dict[str, Any]:
        """Arguments of `pyarrow.fs.S3FileSystem`, with credentials in them."""
        region, keys = self._found()
        arguments: dict[str, Any] = {
            "region": region,
            "connect_timeout": CONNECT_SECONDS,
            "force_virtual_addressing": self.virtual,
        }
        if self.endpoint is not None:
            parts = urlsplit(self.endpoint)
            arguments |= {"scheme": parts.scheme, "endpoint_override": f"{parts.netloc}{parts.path}"}
        if authorities := os.environ.get("AWS_CA_BUNDLE"):
            arguments["tls_ca_file_path"] = authorities
        names = ("access_key", "secret_key", "session_token")
        return arguments | {name: keys[key] for name, key in zip(names, KEYS, strict=True) if key in keys}

    def delta(self) -> dict[str, str]:
        """`storage_options` of `deltalake`, with credentials in them.

        Commits are put where none is yet (`If-None-Match`), so that of two writers at once one tries again.
        """
        region, keys = self._found()
        options = {
            "AWS_REGION": region,
            "aws_conditional_put": "etag",
            _VIRTUAL: str(self.virtual).lower(),
            "connect_timeout": f"{CONNECT_SECONDS}s",
            "timeout": f"{READ_SECONDS}s",
            "max_retries": str(ATTEMPTS),
            **keys,
        }
        if self.endpoint is not None:
            options["AWS_ENDPOINT_URL"] = self.endpoint
            options["AWS_ALLOW_HTTP"] = str(self.endpoint.startswith("http:")).lower()
        return options

    def mlflow(self) -> dict[str, str]:
        """Variables by which MLflow's own server reaches the same."""
        variables = {
            "MLFLOW_BOTO_CLIENT_ADDRESSING_STYLE": "virtual" if self.virtual else "path",
            "AWS_MAX_ATTEMPTS": str(ATTEMPTS),
            "AWS_RETRY_MODE": "standard",
        }
        if self.endpoint is not None:
            variables["MLFLOW_S3_ENDPOINT_URL"] = self.endpoint
        if self.region is not None:
            variables["AWS_DEFAULT_REGION"] = self.region
        return variables

    def _found(self) -> tuple[str, dict[str, str]]:
        """The region, and credentials where those who are told them could not find them as well."""
        client = self.client()
        credentials = client._get_credentials()
        if credentials is None or credentials.method in _RENEWED:
            return client.meta.region_name, {}
        frozen = credentials.get_frozen_credentials()
        keys = zip(KEYS, (frozen.access_key, frozen.secret_key, frozen.token), strict=True)
        return client.meta.region_name, {name: value for name, value in keys if value}


@lru_cache(maxsize=8)
def _client(access: S3Access, _variables: tuple[tuple[str, str], ...], _process: int, _time: float) -> Any:
    """boto3 reads variables and files itself; a fork may not use connections of the process before it."""
    try:
        import boto3
        from botocore.config import Config
        from botocore.exceptions import BotoCoreError
    except ModuleNotFoundError as error:
        raise StorageRefused("s3", f"{error.name} is not installed: {INSTALL}") from error
    try:
        # Here, and not by boto3's default one: making clients of that is not safe in threads.
        session = boto3.session.Session()
        return session.client(
            "s3",
            endpoint_url=access.endpoint,
            region_name=access.region or session.region_name or "us-east-1",
            config=Config(
                connect_timeout=CONNECT_SECONDS,
                read_timeout=READ_SECONDS if access.patient else LOOK_SECONDS,
                retries={
                    "mode": "standard",
                    "total_max_attempts": ATTEMPTS if access.patient else LOOK_ATTEMPTS,
                },
                s3={"addressing_style": "virtual" if access.virtual else "path"},
            ),
        )
    except (BotoCoreError, ValueError) as error:
        raise StorageRefused("s3", str(error)) from error


def read_access(environ: Mapping[str, str] | None = None) -> S3Access:
    """Read the variables (default: those of the process).

    Raises:
        SettingError: one holds what it may not.
    """
    env = os.environ if environ is None else environ
    name, endpoint = _first(env, _ENDPOINTS)
    if endpoint is not None:
        _check_endpoint(name, endpoint)
    virtual = env.get(_VIRTUAL, "").strip().lower() or "false"
    if virtual not in ("true", "false"):
        raise SettingError(_VIRTUAL, virtual[:20], "true or false")
    return S3Access(endpoint, _first(env, _REGIONS)[1], virtual == "true")


def _first(env: Mapping[str, str], names: tuple[str, ...]) -> tuple[str, str | None]:
    found = ((name, env.get(name, "").strip()) for name in names)
    return next(((name, value) for name, value in found if value), (names[-1], None))


def _check_endpoint(name: str, endpoint: str) -> None:
    allowed = f"http://host:port or https://host:port of the server that {VARIABLE} is on"
    try:
        parts = urlsplit(endpoint)
        parts.port  # noqa: B018 - it is read when it is asked for
    except ValueError as error:
        raise SettingError(name, endpoint.partition("@")[2][:80] or endpoint[:80], allowed) from error
    if "@" in parts.netloc:
        keys = " and ".join(KEYS[:2])
        raise SettingError(name, without_secrets(endpoint)[:80], f"{allowed}; credentials go into {keys}")
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise SettingError(name, without_secrets(endpoint)[:80], allowed)
