"""The process that starts the service's workers, and nothing else: it imports little, so it is there soon.

`bentoml serve` imports the service to learn its name and how many workers it has, and its own commands: a
second at every start. What it then does is done here by the same parts of BentoML.
"""

from __future__ import annotations

import errno
import json
import socket
import sys
import time
from ipaddress import ip_address

from bentoml._internal.configuration.containers import BentoMLContainer
from bentoml.serving import (
    construct_ssl_args,
    construct_timeouts_args,
    create_watcher,
    ensure_prometheus_dir,
)
from circus.sockets import CircusSocket
from circus.watcher import Watcher

from configs.settings import CHECKOUT, Settings
from service.hosting.process_manager import create_arbiter
from store.service_workers import forget_workers

SERVICE, NAME = "service.app:Ratchet", "ratchet"
GRACE_SECONDS = 5
"""How long requests under way may take to end after SIGTERM."""
KEEP_ALIVE_SECONDS = 75
"""How long an idle connection stays open: longer than in proxies, so that they close it first."""
PORT_SECONDS = 5.0
"""How long the workers of a service that was killed may hold its port, while they answer what they have."""
POLL_SECONDS = 0.01
_LISTENER = "ratchet_service"


def serve(settings: Settings, host: str) -> None:
    """Serve until told to end.

    Args:
        host: an address, not a name.

    Raises:
        OSError: the port is not free.
    """
    forget_workers(settings.home)
    wait_for_port(host, settings.port)
    family = socket.AF_INET if ip_address(host).version == 4 else socket.AF_INET6
    backlog: int = BentoMLContainer.api_server_config.backlog.get()
    listener = CircusSocket(name=_LISTENER, host=host, port=settings.port, family=family, backlog=backlog)
    create_arbiter([_watcher(settings, host, backlog)], sockets=[listener]).start()


def wait_for_port(host: str, port: int, seconds: float = PORT_SECONDS) -> bool:
    """Whether nobody listens there, as soon as that is so, or after that time."""
    deadline = time.monotonic() + seconds
    while not (free := _is_free(host, port)) and time.monotonic() < deadline:
        time.sleep(POLL_SECONDS)
    return free


def worker_arguments(backlog: int) -> list[str]:
    """The command line of one worker, after that of Python, as `bentoml serve` gives it."""
    ssl = BentoMLContainer.ssl
    certificates = {
        f"ssl_{name}": getattr(ssl, name).get() if ssl.enabled.get() else None
        for name in ("certfile", "keyfile", "keyfile_password", "ca_certs", "version", "cert_reqs", "ciphers")
    }
    return [
        "-m", "_bentoml_impl.worker.service", SERVICE,
        "--fd", f"$(circus.sockets.{_LISTENER})",
        "--service-name", NAME,
        "--backlog", str(backlog),
        "--worker-id", "$(CIRCUS.WID)",
        *construct_ssl_args(**certificates),
        *construct_timeouts_args(
            timeout_keep_alive=KEEP_ALIVE_SECONDS, timeout_graceful_shutdown=GRACE_SECONDS
        ),
    ]  # fmt: skip


def _watcher(settings: Settings, host: str, backlog: int) -> Watcher:
    scheme = "https" if BentoMLContainer.ssl.enabled.get() else "http"
    return create_watcher(
        name="service",
        cmd=sys.executable,
        args=worker_arguments(backlog),
        working_dir=str(CHECKOUT),
        numprocesses=settings.workers,
        close_child_stdin=True,
        env={
            "PROMETHEUS_MULTIPROC_DIR": ensure_prometheus_dir(),
            "BENTOML_RUNNER_MAP": json.dumps({NAME: f"{scheme}://{host}:{settings.port}"}),
        },
    )


def _is_free(host: str, port: int) -> bool:
    family = socket.AF_INET if ip_address(host).version == 4 else socket.AF_INET6
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            return error.errno != errno.EADDRINUSE
    return True
