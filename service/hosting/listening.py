"""Where the service listens, asked of those who know: BentoML's command line and the socket itself."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Mapping, Sequence

from configs.api_keys import require_keys
from configs.security.origins import OriginPolicy, is_unspecified
from configs.settings import Settings


def ensure_guarded(settings: Settings) -> None:
    """Refuse an address that others can reach, where there are no keys.

    Raises:
        ConfigError: so it is, whatever started the service.
    """
    require_keys(settings, asked_host(sys.argv, os.environ))


def door_of(settings: Settings) -> OriginPolicy:
    """Who gets in: the address that a request has reached counts by itself, a name where it was given."""
    named = () if is_unspecified(settings.host) else (settings.host,)
    return OriginPolicy((*settings.allowed_hosts, *named), settings.allowed_origins)


def asked_host(arguments: Sequence[str], environ: Mapping[str, str]) -> str:
    """The address that `bentoml serve` was told to listen on, or takes when it was told nothing."""
    given = [argument.partition("=") for argument in arguments]
    for (name, sign, value), following in zip(given, [*arguments[1:], ""], strict=True):
        if name == "--host":
            return value if sign else following
    from bentoml._internal.configuration.containers import BentoMLContainer

    configured: str = BentoMLContainer.http.host.get()
    return environ.get("BENTOML_HOST") or configured


def listening_host(default: str) -> str:
    """The address of the socket that BentoML has given this worker; `default` where it has given none."""
    if "--fd" not in sys.argv:
        return default
    with socket.socket(fileno=os.dup(int(sys.argv[sys.argv.index("--fd") + 1]))) as given:
        if given.family not in (socket.AF_INET, socket.AF_INET6):
            return default
        host: str = given.getsockname()[0]
        return host
