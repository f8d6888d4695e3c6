"""Start the service: `python -m service.run`.

Everything is set by environment variables (see `configs.settings`); this adds what BentoML needs
to know, and becomes the process that starts and replaces its workers.
"""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Mapping

from configs.api_keys import require_keys
from configs.errors import ConfigError, SettingError
from configs.security.proxies import proxy_environment
from configs.security.umask import set_private_umask
from configs.settings import CHECKOUT, Settings, own_hosts, read_settings
from configs.variables import tell_set_in_vain


def listening_address(host: str) -> str:
    """The address that a name stands for, as BentoML takes no names; one of IPv4 goes first.

    Raises:
        SettingError: no address of a machine has this name.
    """
    try:
        found = sorted(socket.getaddrinfo(host, None, type=socket.SOCK_STREAM), key=lambda one: one[0])
    except OSError as error:
        reason = f"an address or a name of this machine ({error.strerror})"
        raise SettingError("RATCHET_HOST", host, reason) from error
    return str(found[0][4][0])


def serve_environment(settings: Settings, environ: Mapping[str, str]) -> dict[str, str]:
    """`environ`, with variables that keep BentoML's files in `settings.home` and turn its tracking off."""
    bentoml_home = settings.home / "bentoml"
    return {
        **environ,
        **proxy_environment(environ, own_hosts(settings)),
        "RATCHET_HOME": str(settings.home),
        "BENTOML_HOME": str(bentoml_home),
        "BENTOML_DO_NOT_TRACK": "True",
        "PROMETHEUS_MULTIPROC_DIR": str(bentoml_home / "prometheus_multiproc_dir"),
        "PYTHONPATH": os.pathsep.join(filter(None, [str(CHECKOUT), environ.get("PYTHONPATH", "")])),
        # One thread a model call (the batcher uses the cores), and no idle spinning of libraries.
        "OMP_NUM_THREADS": environ.get("OMP_NUM_THREADS", "1"),
    }


def main() -> None:
    """Serve until told to end; exit with an error where others could reach it without keys."""
    tell_set_in_vain(os.environ)
    try:
        settings = read_settings()
        require_keys(settings)
        host = listening_address(settings.host)
    except ConfigError as error:
        sys.exit(f"ratchet: {error}")
    os.environ.update(serve_environment(settings, os.environ))
    set_private_umask()
    settings.home.mkdir(parents=True, exist_ok=True)
    # BentoML reads the environment when it is imported, and its logging turns off what logs already.
    from bentoml._internal.log import configure_server_logging

    configure_server_logging()  # type: ignore[no-untyped-call]
    from service.hosting.serving import serve

    serve(settings, host)


if __name__ == "__main__":
    main()
