"""The way to a Dask cluster: a scheduler that answers, and workers that answer and are like this machine.

Only an address of the configuration is ever used.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Sequence
from typing import Any

from configs.compute.address import NO_CERTIFICATES, ComputeAddress, ComputeCertificates
from flows.compute.cluster_pool import ClusterPool, quiet
from flows.compute.errors import INSTALL, ComputeUnavailable, DaskMissing, WorkersDiffer
from flows.compute.versions import code_digest, differences
from models.estimators.streaming.cluster_workers import workers_of

PATIENCE = 20.0
"""Seconds in which the scheduler has to answer and to have a worker, and in which each worker has to."""

REFUSED_SECONDS = 3.0
"""For how long a connection that is refused at once is tried again."""

log = logging.getLogger("ratchet.compute")


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
        ComputeUnavailable: nothing answers there, no worker came, or certificates are missing or no use.
        WorkersDiffer: naming workers and packages.
    """
    try:
        from distributed import Client, Security
    except ImportError as error:
        raise DaskMissing(
            f"{address.scheduler}: work on a Dask cluster needs the package distributed: {INSTALL}"
        ) from error
    assert address.scheduler is not None
    security = _security(Security, address, certificates) if address.is_encrypted else None
    try:
        with quiet():
            asyncio.run(_ensure_answers(address.scheduler, security, patience))
            client = Client(address.scheduler, security=security, timeout=patience, set_as_default=False)
    except (OSError, TimeoutError, TypeError, ValueError) as error:
        raise ComputeUnavailable(
            f"no Dask scheduler answers at {address.scheduler}: {error or type(error).__name__}; start it, "
            "name another in RATCHET_COMPUTE or `compute`, or set RATCHET_COMPUTE=local for the cores here"
        ) from error
    try:
        _ensure_workers(client, patience)
        only = _ensure_alike(client, packages, patience)
    except BaseException:
        client.close(timeout=5)
        raise
    return ClusterPool(client, code_digest(), only)


def _security(kind: Any, address: ComputeAddress, certificates: ComputeCertificates) -> Any:
    """What a `tls://` address is connected to with. Dask tells of files of no use as of a silent server.

    Raises:
        ComputeUnavailable: certificates are missing, or cannot be read.
    """
    files = {
        "RATCHET_COMPUTE_CA": ("tls_ca_file", certificates.ca),
        "RATCHET_COMPUTE_CERT": ("tls_client_cert", certificates.cert),
        "RATCHET_COMPUTE_KEY": ("tls_client_key", certificates.key),
    }
    given = {option: str(path) for option, path in files.values() if path is not None}
    allowed = "a PEM file each, of who signed those of the cluster, of this side, and of its key"
    try:
        security = kind(require_encryption=True, **given)
        security.get_connection_args("client")
    except (OSError, TypeError, ValueError) as error:
        # Of Dask's own configuration nothing is shown: it may hold the key itself.
        told = "; ".join(
            f"{name} has value '{path}'" for name, (_, path) in files.items() if path is not None
        )
        raise ComputeUnavailable(
            f"the certificates for {address.scheduler} cannot be used ({error}): "
            f"{told or 'all of them are of the configuration of Dask'}; allowed: {allowed}"
        ) from error
    needed = ("RATCHET_COMPUTE_CA", "RATCHET_COMPUTE_CERT")
    if missing := [name for name in needed if not getattr(security, files[name][0])]:
        raise ComputeUnavailable(
            f"{address.scheduler} is reached with certificates: {' and '.join(missing)} "
            f"{'is' if len(missing) == 1 else 'are'} not set, nor is the same in Dask's own configuration; "
            f"allowed for {', '.join(files)}: {allowed}"
        )
    return security


async def _ensure_answers(scheduler: str, security: Any, patience: float) -> None:
    """Dask's client waits without end for the first word of what takes its connection, and says none.

    Raises:
        OSError: nothing is there, or says what a scheduler does, in that time.
    """
    from distributed.comm.core import connect as open_comm

    options = {} if security is None else security.get_connection_args("client")
    try:
        async with asyncio.timeout(patience + 1):  # which is told apart from that nothing is there
            comm = await _open(open_comm, scheduler, patience, **options)
    except TimeoutError as error:
        raise OSError("something takes connections there, and does not answer") from error
    except (OSError, TypeError, ValueError):  # the last two are of certificates
        raise
    except Exception as error:  # whatever comes of taking words of another kind for a scheduler's
        raise OSError(f"what answers there is of another kind ({error})") from error
    await comm.close()


async def _open(
    open_comm: Callable[..., Awaitable[Any]], scheduler: str, patience: float, **options: Any
) -> Any:
    """A connection to a scheduler.

    Dask tries what refuses connections again for as long as it has patience, as a scheduler may be just
    starting: here that is `REFUSED_SECONDS`.
    """
    at_first = min(patience, REFUSED_SECONDS)
    try:
        return await open_comm(scheduler, timeout=at_first, **options)
    except OSError as error:
        if at_first == patience or _is_refused(error):
            raise
    return await open_comm(scheduler, timeout=patience - at_first, **options)


def _is_refused(error: BaseException) -> bool:
    """Whether nothing listens there, as what Dask raises was raised for."""
    reason: BaseException | None = error
    while reason is not None and not isinstance(reason, ConnectionRefusedError):
        reason = reason.__cause__ or reason.__context__
    return reason is not None


def _ensure_workers(client: Any, patience: float) -> None:
    try:
        client.wait_for_workers(1, timeout=patience)
    except TimeoutError as error:
        raise ComputeUnavailable(
            f"the Dask scheduler at {client.scheduler.address} has no worker; start some with `dask worker`"
        ) from error


def _ensure_alike(client: Any, packages: Sequence[str], patience: float) -> list[str]:
    """Refuse workers with other packages, or other code, than this process.

    Returns:
        Addresses of those that work may be given to, where some did not answer; else nothing.

    Raises:
        ComputeUnavailable: not one answers.
    """
    from distributed.versions import get_versions

    here = get_versions(packages=list(packages))["packages"]
    told, silent = _ask_each(client, patience, get_versions, packages=list(packages))
    found: dict[str, list[str]] = {}
    for worker, about in told.items():
        if isinstance(about, BaseException):
            found[worker] = [f"an error when it was asked for its versions ({about!r})"]
        else:
            found[worker] = differences(here, about["packages"], packages)
    if not any(found.values()):  # what differs there may be unable to read a function of ours
        codes, more = _ask_each(client, patience, code_digest, among=told)
        silent = [*silent, *more]
        for worker, code in codes.items():
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
    good = [worker for worker in found if worker not in silent]
    if not good:
        raise ComputeUnavailable(
            f"no worker of the Dask scheduler at {client.scheduler.address} answers within {patience:.0f} "
            f"seconds ({', '.join(sorted(silent))}); start them again, or set RATCHET_COMPUTE=local for the "
            "cores here"
        )
    if silent:
        log.warning(
            "%s: work goes to %d of its workers, as these did not answer within %.0f seconds: %s",
            client.scheduler.address, len(good), patience, ", ".join(sorted(silent)),
        )  # fmt: skip
    return good if silent else []


def _ask_each(
    client: Any,
    patience: float,
    function: Callable[..., Any],
    *,
    among: Collection[str] | None = None,
    **named: Any,
) -> tuple[dict[str, Any], list[str]]:
    """Have each worker call a function, none waiting for another.

    Args:
        among: those to ask; None: all that the scheduler has.

    Returns:
        By worker what it gave, or the error that it told; and those that gave nothing in that time.
    """
    workers = workers_of(client) if among is None else among

    async def ask(worker: str) -> Any:
        async with asyncio.timeout(patience):
            return (await client.run(function, workers=[worker], on_error="return", **named))[worker]

    async def ask_all() -> list[Any]:
        return await asyncio.gather(*(ask(worker) for worker in workers), return_exceptions=True)

    answers = dict(zip(workers, client.sync(ask_all), strict=True))
    silent = [worker for worker, answer in answers.items() if _is_silence(answer)]
    return {worker: answer for worker, answer in answers.items() if worker not in silent}, silent


def _is_silence(answer: Any) -> bool:
    """Whether that came in the place of an answer: what Dask says of a way that leads to nobody has no number
    of the system, whoever gives it up first; errors of files that a worker tells have."""
    return isinstance(answer, OSError) and answer.errno is None
