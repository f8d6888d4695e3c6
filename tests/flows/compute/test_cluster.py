"""Clusters that work is not given to: gone, without workers, with other packages or other code; and TLS."""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dask
import pytest

from configs.compute.address import ComputeCertificates, read_compute
from configs.settings import CHECKOUT
from flows.compute import cluster as cluster_module
from flows.compute.cluster import connect
from flows.compute.errors import ComputeUnavailable, DaskMissing, WorkersDiffer
from flows.compute.versions import OURS, differences, packages_of
from models.estimators.streaming import cluster_workers
from tests.dask_clusters import DaskProcesses, dask_processes
from tests.ports import closed_port
from tests.service.conftest import USE_CASES


def test_a_scheduler_that_is_not_there_is_told_with_what_to_do() -> None:
    address = read_compute(f"dask://127.0.0.1:{closed_port()}")
    with pytest.raises(
        ComputeUnavailable, match=r"no Dask scheduler answers at tcp://.*RATCHET_COMPUTE=local"
    ):
        connect(address, patience=1)


def test_a_port_that_refuses_connections_is_told_within_seconds() -> None:
    address = read_compute(f"dask://127.0.0.1:{closed_port()}")
    began = time.monotonic()
    with pytest.raises(ComputeUnavailable, match="no Dask scheduler answers at tcp://"):
        connect(address)
    assert time.monotonic() - began < 6


def test_what_takes_connections_and_says_nothing_is_not_waited_for() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = read_compute(f"dask://127.0.0.1:{silent.getsockname()[1]}")
        with pytest.raises(ComputeUnavailable, match=r"no Dask scheduler answers at .*does not answer"):
            connect(address, patience=1)


def test_a_server_of_another_kind_is_told_as_that() -> None:
    def talk(server: socket.socket) -> None:
        caller, _ = server.accept()
        with caller:
            caller.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n" * 10)
            caller.recv(1)

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=talk, args=(server,))
        thread.start()
        address = read_compute(f"dask://127.0.0.1:{server.getsockname()[1]}")
        with pytest.raises(ComputeUnavailable, match=r"no Dask scheduler answers at .*of another kind"):
            connect(address, patience=5)
        thread.join(10)


def test_without_dask_the_command_that_installs_it_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(DaskMissing, match=r"pip install 'distributed>=2026\.7'"):
        connect(read_compute("dask://127.0.0.1:1"))


def test_versions_that_differ_are_named() -> None:
    here = {"python": "3.11.7.final.0", "numpy": "2.4.0", "scipy": "1.17"}
    same = {**here, "python": "3.11.9.final.0"}
    assert differences(here, same, ["numpy", "scipy"]) == []
    other = {"python": "3.12.1.final.0", "numpy": "1.26.4"}
    assert differences(here, other, ["numpy", "scipy"]) == [
        "python 3.12 (here 3.11)", "numpy 1.26.4 (here 2.4.0)", "no scipy (here 1.17)"
    ]  # fmt: skip
    assert {"numpy", "catboost", "distributed", "pyarrow"} <= set(packages_of(USE_CASES["plans"]))
    assert "catboost" not in packages_of(USE_CASES["intents"])


def fake_version(folder: Path, name: str, version: str) -> Path:
    """A folder by which a process takes a package for another version of it."""
    about = folder / f"{name}-{version}.dist-info"
    about.mkdir(parents=True)
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    return folder


def changed_copy(folder: Path) -> Path:
    """Ratchet's code with one line more."""
    for room in OURS:
        shutil.copytree(CHECKOUT / room, folder / room, ignore=shutil.ignore_patterns("__pycache__"))
    with (folder / "flows" / "loop.py").open("a", encoding="utf-8") as file:
        file.write("# changed\n")
    return folder


@contextmanager
def another(cluster: DaskProcesses, path: Path) -> Iterator[None]:
    """One more worker while this lasts, which finds its code in a folder."""
    worker = cluster.add_worker({"PYTHONPATH": str(path)})
    try:
        yield
    finally:
        worker.kill()
        worker.wait(30)


@pytest.mark.slow
def test_workers_that_differ_are_named_before_anything_runs(tmp_path: Path) -> None:
    with dask_processes(tmp_path / "dask", 0) as cluster:
        address = read_compute(cluster.address)
        with pytest.raises(ComputeUnavailable, match="has no worker; start some with `dask worker`"):
            connect(address, patience=3)
        cluster.add_worker()
        connect(address, packages=["scipy"]).close()
        odd = fake_version(tmp_path / "odd", "scipy", "1.0.0")
        cluster.add_worker({"PYTHONPATH": f"{odd}:{CHECKOUT}"})
        with pytest.raises(WorkersDiffer, match=r"tcp://127\S+ has scipy 1\.0\.0 \(here 1\."):
            connect(address, packages=["scipy"])
        connect(address, packages=["numpy"]).close()
        changed = changed_copy(tmp_path / "changed")
        other = r"so nothing was run: tcp://\S+ has other code of Ratchet"
        with another(cluster, changed), pytest.raises(WorkersDiffer, match=other):
            connect(address, packages=["numpy"])
        (tmp_path / "none").mkdir()
        (tmp_path / "none" / "flows.py").touch()  # no package: an editable install would find its parts
        none = "has no Ratchet like this one that it can import"
        with another(cluster, tmp_path / "none"), pytest.raises(WorkersDiffer, match=none):
            connect(address, packages=["numpy"])


@pytest.mark.slow
def test_a_worker_that_leaves_as_it_is_asked_does_not_differ(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    soon = {"DASK_DISTRIBUTED__COMM__TIMEOUTS__CONNECT": "1s"}
    with dask_processes(tmp_path / "dask", 2, environment=soon) as cluster:
        whole = cluster_workers.workers_of

        def workers_of(client: Any) -> Any:
            found = whole(client)
            cluster.workers[0].kill()
            cluster.workers[0].wait(30)
            return found

        monkeypatch.setattr(cluster_module, "workers_of", workers_of)
        pool = connect(read_compute(cluster.address), packages=["numpy"])
        try:
            assert pool.submit(divmod, 7, 2).result(60) == (3, 1)
        finally:
            pool.close()


def certificate(folder: Path) -> tuple[Path, Path]:
    """A certificate that signed itself, and its key."""
    folder.mkdir()
    cert, key = folder / "cert.pem", folder / "key.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=localhost",
         "-keyout", str(key), "-out", str(cert)],
        check=True, capture_output=True,
    )  # fmt: skip
    return cert, key


def tls_options(cert: Path, key: Path) -> list[str]:
    return ["--tls-ca-file", str(cert), "--tls-cert", str(cert), "--tls-key", str(key)]


def test_certificates_that_are_missing_or_no_use_are_told_by_their_variables(tmp_path: Path) -> None:
    address = read_compute(f"tls://127.0.0.1:{closed_port()}")
    with pytest.raises(ComputeUnavailable, match="RATCHET_COMPUTE_CA and RATCHET_COMPUTE_CERT are not set"):
        connect(address, patience=1)
    cert, key = certificate(tmp_path / "ours")
    with pytest.raises(ComputeUnavailable, match=": RATCHET_COMPUTE_CERT is not set"):
        connect(address, ComputeCertificates(cert), patience=1)
    empty = tmp_path / "empty.pem"
    empty.touch()
    with pytest.raises(
        ComputeUnavailable, match=r"RATCHET_COMPUTE_CA has value '.*empty.pem'; .*allowed: a PEM"
    ):
        connect(address, ComputeCertificates(empty, cert, key), patience=1)
    with pytest.raises(ComputeUnavailable, match="no Dask scheduler answers at tls://"):
        connect(address, ComputeCertificates(cert, cert, key), patience=1)


def test_keys_in_the_configuration_of_dask_are_not_shown() -> None:
    address = read_compute(f"tls://127.0.0.1:{closed_port()}")
    spelt = {"ca-file": "secret\n", "client.cert": "secret\n", "client.key": "secret\n"}
    with (
        dask.config.set({f"distributed.comm.tls.{name}": text for name, text in spelt.items()}),
        pytest.raises(ComputeUnavailable, match="of the configuration of Dask") as refused,
    ):
        connect(address, patience=1)
    assert "secret" not in str(refused.value)


@pytest.mark.slow
def test_a_tls_cluster_takes_whom_its_certificates_let_in(tmp_path: Path) -> None:
    cert, key = certificate(tmp_path / "ours")
    other, other_key = certificate(tmp_path / "theirs")
    with dask_processes(tmp_path / "dask", 1, scheme="tls", options=tls_options(cert, key)) as cluster:
        assert isinstance(cluster, DaskProcesses)
        address = read_compute(cluster.address)
        assert address.is_encrypted
        pool = connect(address, ComputeCertificates(cert, cert, key))
        try:
            assert pool.submit(divmod, 7, 2).result(60) == (3, 1)
            with pytest.raises(ZeroDivisionError):
                pool.submit(divmod, 7, 0).result(60)
        finally:
            pool.close()
        with pytest.raises(ComputeUnavailable, match="no Dask scheduler answers at tls://"):
            connect(address, ComputeCertificates(other, other, other_key), patience=3)
        plain = read_compute(cluster.address.replace("tls://", "dask://"))
        with pytest.raises(ComputeUnavailable, match="no Dask scheduler answers at tcp://"):
            connect(plain, patience=3)
