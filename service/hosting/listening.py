"""Where the service listens, read from BentoML's command line or from the socket."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Mapping, Sequence

from configs.api_keys import require_keys
from configs.errors import ConfigError
from configs.security.origins import OriginPolicy, is_unspecified
from configs.settings import Settings


def ensure_guarded(settings: Settings) -> None:
    """Refuse an address that others can reach, where there are no keys.

    Raises:
        ConfigError: the address is not loopback and there are no keys, whatever started the service.
    """
    host = asked_host(sys.argv, os.environ)
    try:
        require_keys(settings, host)
    except ConfigError as error:
        if host == settings.host:
            raise
        raise ConfigError(
            f"{error}. `bentoml serve` by itself does not read RATCHET_HOST: give it "
            f"`--host {settings.host}`, or start the service by `python -m service.run`"
        ) from error


def origin_policy(settings: Settings) -> OriginPolicy:
    """The hosts and origins whose requests are let in: those of the settings, and the host listened on."""
    listened_on = () if is_unspecified(settings.host) else (settings.host,)
    return OriginPolicy((*settings.allowed_hosts, *listened_on), settings.allowed_origins)


def asked_host(arguments: Sequence[str], environ: Mapping[str, str]) -> str:
    """The address of `--host` of `bentoml serve`, else of BENTOML_HOST, else of BentoML's configuration."""
    options = [argument.partition("=") for argument in arguments]
    for (name, sign, value), following in zip(options, [*arguments[1:], ""], strict=True):
        if name == "--host":
            return value if sign else following
    from bentoml._internal.configuration.containers import BentoMLContainer

    configured: str = BentoMLContainer.http.host.get()
    return environ.get("BENTOML_HOST") or configured


def listening_host(default: str) -> str:
    """The address of the socket that BentoML passed to this worker with `--fd`; `default` without one."""
    if "--fd" not in sys.argv:
        return default
    with socket.socket(fileno=os.dup(int(sys.argv[sys.argv.index("--fd") + 1]))) as listener:
        if listener.family not in (socket.AF_INET, socket.AF_INET6):
            return default
        host: str = listener.getsockname()[0]
        return host
