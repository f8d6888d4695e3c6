"""A Dask cluster: work goes to its scheduler as plain futures, and what a lost worker had goes to another.

Only an address of the configuration is ever used. Values travel as pickles, which may run any code: whoever
reaches a scheduler is who its workers work for (docs/security.md).
"""

from __future__ import annotations

import asyncio
import hashlib
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import CancelledError, Future
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

from configs.compute.address import NO_CERTIFICATES, ComputeAddress, ComputeCertificates
from flows.compute import inside
from flows.compute.contract import OnReport
from flows.compute.errors import INSTALL, ComputeUnavailable, DaskMissing, WorkersDiffer, WorkLost
from flows.compute.local import give_up, portable, settle
from flows.compute.versions import code_digest, differences

PATIENCE = 20.0
"""Seconds in which the scheduler has to answer, and in which it has to have a worker."""


class ClusterPool:
    """The workers of a scheduler that has been found good.

    Args:
        client: connected to it.
        code: digest of this side's code, which those must have that join later, too.
    """

    is_here = False

    def __init__(self, client: Any, code: str) -> None:
        self.client = client
        self._code = code
        self._open: set[Future[Any]] = set()
        self.where = f"Dask at {client.scheduler.address}"

    @property
    def width(self) -> int:
        """Threads of all workers that are there now."""
        workers = self.client.scheduler_info(n_workers=-1)["workers"]
        threads: int = sum(one["nthreads"] for one in workers.values())
        return max(1, threads)

    def submit(self, function: Callable[..., Any], *arguments: Any) -> Future[Any]:
        """Have something done; see `Pool`."""
        promised: Future[Any] = Future()
        self._open.add(promised)
        with _quiet():
            done = self.client.submit(
                _checked, self._code, function, *arguments, key=f"ratchet-{uuid4()}", pure=False
            )
        promised.add_done_callback(partial(self._let_go, done))
        done.add_done_callback(partial(self._end, promised))
        return promised

    def share(self, value: Any) -> Any:
        """A future whose value the scheduler can have made again when the workers that hold it are gone."""
        with _quiet():
            return self.client.submit(_itself, value, key=f"ratchet-shared-{uuid4()}", pure=False)

    def share_folder(self, folder: Path) -> Any:
        """The folder's files, which each worker unpacks once."""
        packed = inside.pack_folder(folder)
        return self.share(inside.PackedFolder(hashlib.sha256(packed).hexdigest()[:32], packed))

    def listen(self, topic: str, on_report: OnReport) -> None:
        """Have what work reports under a topic told."""

        def tell(event: tuple[float, Any]) -> None:
            on_report({key: value for key, value in event[1].items() if key != "worker"})

        self.client.subscribe_topic(topic, tell)

    def close(self) -> None:
        """Give up what is not done, and leave the cluster."""
        for promised in list(self._open):
            give_up(promised)
        self.client.close(timeout=5)

    def _let_go(self, done: Any, promised: Future[Any]) -> None:
        self._open.discard(promised)
        if promised.cancelled():
            done.cancel(force=True)

    def _end(self, promised: Future[Any], done: Any) -> None:
        """Called by the client when a piece of work has ended, wherever it was done at last."""
        from distributed import KilledWorker

        if promised.cancelled():
            return
        try:
            if done.status in ("cancelled", "lost"):
                raise WorkLost(f"{self.where} went away with work in hand")
            settle(promised, done.result(timeout=PATIENCE))
        except KilledWorker as error:
            why = "work ended the worker that did it, again and again; perhaps its memory is too small"
            settle(promised, error=WorkLost(f"{self.where}: {why}: {error}"))
        except (CancelledError, OSError, TimeoutError) as error:
            settle(promised, error=WorkLost(f"{self.where} went away with work in hand: {error}"))
        except Exception as error:  # noqa: BLE001 - whatever the work raised is told to who waits for it
            settle(promised, error=error)


def connect(
    address: ComputeAddress,
    certificates: ComputeCertificates = NO_CERTIFICATES,
    packages: Sequence[str] = (),
    patience: float = PATIENCE,
) -> ClusterPool:
    """Connect to a scheduler, and make sure that each worker has the same versions and the same code.

    Args:
        packages: names, as they are installed, of those that must be the same.
        patience: seconds for the scheduler to answer, and to have a worker.

    Raises:
        DaskMissing: this installation lacks `distributed`.
        ComputeUnavailable: nothing answers there, or no worker came.
        WorkersDiffer: naming workers and packages.
    """
    try:
        from distributed import Client, Security
    except ImportError as error:
        raise DaskMissing(
            f"{address.scheduler}: work on a Dask cluster needs the package distributed: {INSTALL}"
        ) from error
    assert address.scheduler is not None
    files = {"tls_ca_file": certificates.ca, "tls_client_cert": certificates.cert}
    files["tls_client_key"] = certificates.key
    given = {name: str(path) for name, path in files.items() if path is not None}
    try:
        with _quiet():
            security = Security(require_encryption=True, **given) if address.is_encrypted else None
            asyncio.run(_ensure_answers(address.scheduler, security, patience))
            client = Client(address.scheduler, security=security, timeout=patience, set_as_default=False)
    except (OSError, TimeoutError, TypeError, ValueError) as error:
        raise ComputeUnavailable(
            f"no Dask scheduler answers at {address.scheduler}: {error or type(error).__name__}; start it, "
            "name another in RATCHET_COMPUTE or `compute`, or set RATCHET_COMPUTE=local for the cores here"
        ) from error
    try:
        _ensure_workers(client, patience)
        _ensure_alike(client, packages)
    except BaseException:
        client.close(timeout=5)
        raise
    return ClusterPool(client, code_digest())


async def _ensure_answers(scheduler: str, security: Any, patience: float) -> None:
    """Dask's client waits without end for the first word of what takes its connection, and says none.

    Raises:
        OSError: nothing is there, or says what a scheduler does, in that time.
    """
    from distributed.comm.core import connect as open_comm

    options = {} if security is None else security.get_connection_args("client")
    try:
        async with asyncio.timeout(patience + 1):  # which is told apart from that nothing is there
            comm = await open_comm(scheduler, timeout=patience, **options)
    except TimeoutError as error:
        raise OSError("something takes connections there, and does not answer") from error
    except (OSError, TypeError, ValueError):  # the last two are of certificates
        raise
    except Exception as error:  # whatever comes of taking words of another kind for a scheduler's
        raise OSError(f"what answers there is of another kind ({error})") from error
    await comm.close()


def _ensure_workers(client: Any, patience: float) -> None:
    try:
        client.wait_for_workers(1, timeout=patience)
    except TimeoutError as error:
        raise ComputeUnavailable(
            f"the Dask scheduler at {client.scheduler.address} has no worker; start some with `dask worker`"
        ) from error


def _ensure_alike(client: Any, packages: Sequence[str]) -> None:
    """Refuse workers with other packages, or other code, than this process."""
    told = client.get_versions(check=False, packages=list(packages))
    here = told["client"]["packages"]
    found = {
        worker: differences(here, (about or {}).get("packages", {}), packages)
        for worker, about in told["workers"].items()
    }
    if not any(found.values()):  # what differs there may be unable to read a function of ours
        for worker, code in client.run(code_digest, on_error="return").items():
            if isinstance(code, BaseException) and "ModuleNotFoundError" in repr(code):
                found[worker] = [f"no Ratchet like this one that it can import ({code})"]
            elif isinstance(code, BaseException):
                found[worker] = [f"an error when it was asked for its code ({code!r})"]
            elif code != code_digest():
                found[worker] = ["other code of Ratchet, or the same before it was changed"]
    if lines := [f"{worker} has {', '.join(one)}" for worker, one in found.items() if one]:
        raise WorkersDiffer(
            f"workers of {client.scheduler.address} differ from this machine, so nothing was run: "
            f"{'; '.join(lines)}; install the same there, and start them again"
        )


def _checked(code: str, function: Callable[..., Any], *arguments: Any) -> Any:
    """On a worker: do it, if it has the code that was found good; it may have joined since."""
    if code_digest() != code:
        raise WorkersDiffer("a worker that joined later has other code of Ratchet; start it again with ours")
    try:
        return function(*arguments)
    except Exception as error:  # noqa: BLE001 - it goes to who waits, whatever it is
        raise portable(error) from None


def _itself(value: Any) -> Any:
    return value


@contextmanager
def _quiet() -> Iterator[None]:
    """Of sizes and versions we judge ourselves."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
