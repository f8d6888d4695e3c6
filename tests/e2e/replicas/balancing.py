"""HAProxy before the two servers."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import httpx

from tests.e2e.replicas.fleet import ReplicaServer
from tests.e2e.replicas.networks import CLIENT
from tests.ports import free_port

# Asked every half second, out at the first no. No request is sent twice: whatever is lost is counted.
CONFIGURATION = """
defaults
    mode http
    retries 0
    timeout connect 5s
    timeout client 60s
    timeout server 60s
frontend all
    bind 127.0.0.1:{port}
    default_backend servers
backend servers
    balance roundrobin
    option httpchk GET /readyz
    http-reuse safe
    source {source}
    default-server check inter 500ms fall 1 rise 1 init-addr none
{servers}
"""


@contextmanager
def balanced(folder: Path, servers: Sequence[ReplicaServer]) -> Iterator[str]:
    """The address of the load balancer."""
    port = free_port()
    listed = "\n".join(f"    server s{n} {one.address}:3000" for n, one in enumerate(servers))
    file = folder / "haproxy.cfg"
    file.write_text(CONFIGURATION.format(port=port, source=CLIENT, servers=listed), encoding="utf-8")
    with (folder / "haproxy.log").open("wb") as log:
        process = subprocess.Popen(["haproxy", "-db", "-f", str(file)], stdout=log, stderr=log)
    try:
        until = time.monotonic() + 20
        while not _answers(f"http://127.0.0.1:{port}/readyz"):
            assert process.poll() is None, (folder / "haproxy.log").read_text()
            assert time.monotonic() < until
            time.sleep(0.1)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(20)


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=2).status_code == 200
    except httpx.HTTPError:
        return False
