"""A network of namespaces: a router between this machine and each server, whose packets it can drop.

What is dropped vanishes without a word, as behind a broken switch or firewall: nobody is refused or reset.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

OF_TEN = 100 + os.getpid() % 100
"""So that runs beside each other have networks of their own."""
DATABASE, MLFLOW, CLIENT = (f"10.{OF_TEN}.0.{end}" for end in (1, 3, 9))
"""Addresses of this machine towards the router, so that each can be lost by itself."""
ROUTER = f"10.{OF_TEN}.0.2"


def why_no_network() -> str | None:
    """Why such a network cannot be made here; None: it can."""
    if os.geteuid() != 0:
        return "network namespaces are for root only"
    if shutil.which("ip") is None:
        return "there is no `ip` (Debian: iproute2)"
    name = f"rt{os.getpid()}probe"
    made = subprocess.run(["ip", "netns", "add", name], capture_output=True, text=True, check=False)
    if made.returncode != 0:
        return f"network namespaces are not permitted: {made.stderr.strip()}"
    subprocess.run(["ip", "netns", "delete", name], check=True)
    return None


@dataclass(frozen=True)
class Network:
    """The router and the namespaces of servers."""

    router: str
    places: dict[str, str]
    """Namespace of a server to its address."""

    def lose(self, place: str, other: str) -> None:
        """Drop all packets between a server and an address of this machine."""
        for way in self._ways(place, other):
            ip("-n", self.router, "rule", "add", *way, "priority", "100", "blackhole")

    def find(self, place: str, other: str) -> None:
        """Let them through again."""
        for way in self._ways(place, other):
            ip("-n", self.router, "rule", "delete", *way, "priority", "100", "blackhole")

    def _ways(self, place: str, other: str) -> tuple[tuple[str, ...], ...]:
        one = self.places[place]
        return ("from", one, "to", other), ("from", other, "to", one)


def ip(*words: str) -> None:
    """Run `ip`."""
    subprocess.run(["ip", *words], check=True, capture_output=True)


@contextmanager
def network(servers: int = 2) -> Iterator[Network]:
    """Namespaces of so many servers, which are gone at the end."""
    stem = f"rt{os.getpid()}"
    router = f"{stem}r"
    outside = f"{stem}o"
    places = {f"{stem}s{number}": f"10.{OF_TEN}.{number}.2" for number in range(1, servers + 1)}
    try:
        ip("netns", "add", router)
        ip("link", "add", outside, "type", "veth", "peer", "name", "outside", "netns", router)
        for address in (DATABASE, MLFLOW, CLIENT):
            ip("address", "add", f"{address}/24", "dev", outside)
        ip("link", "set", outside, "up")
        ip("-n", router, "address", "add", f"{ROUTER}/24", "dev", "outside")
        ip("-n", router, "link", "set", "outside", "up")
        in_router = ["ip", "netns", "exec", router, "sysctl", "-qw", "net.ipv4.ip_forward=1"]
        subprocess.run(in_router, check=True)
        for number, (place, address) in enumerate(places.items(), 1):
            gate = f"10.{OF_TEN}.{number}.1"
            ip("netns", "add", place)
            ip("-n", place, "link", "add", "eth0", "type", "veth", "peer", "name", place, "netns", router)
            ip("-n", place, "address", "add", f"{address}/24", "dev", "eth0")
            ip("-n", place, "link", "set", "lo", "up")
            ip("-n", place, "link", "set", "eth0", "up")
            ip("-n", router, "address", "add", f"{gate}/24", "dev", place)
            ip("-n", router, "link", "set", place, "up")
            ip("-n", place, "route", "add", "default", "via", gate)
            ip("route", "add", f"10.{OF_TEN}.{number}.0/24", "via", ROUTER)
        yield Network(router, places)
    finally:
        for name in (*places, router):
            with suppress(subprocess.CalledProcessError):
                ip("netns", "delete", name)
        with suppress(subprocess.CalledProcessError):
            ip("link", "delete", outside)


@contextmanager
def reachable_at(host: str, port: int) -> Iterator[None]:
    """What listens on loopback of this machine, at another of its addresses too."""
    with socket.create_server((host, port)) as listening:
        accepting = threading.Thread(target=_accept, args=(listening, port), daemon=True)
        accepting.start()
        try:
            yield
        finally:
            listening.shutdown(socket.SHUT_RDWR)
            accepting.join()


def _accept(listening: socket.socket, port: int) -> None:
    with suppress(OSError):
        while True:
            caller, _ = listening.accept()
            threading.Thread(target=_join, args=(caller, port), daemon=True).start()


def _join(caller: socket.socket, port: int) -> None:
    with suppress(OSError), caller, socket.create_connection(("127.0.0.1", port)) as server:
        back = threading.Thread(target=_pass_on, args=(server, caller), daemon=True)
        back.start()
        _pass_on(caller, server)
        back.join()


def _pass_on(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while part := source.recv(65536):
            target.sendall(part)
    with suppress(OSError):
        target.shutdown(socket.SHUT_WR)
