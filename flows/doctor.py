"""Look over a machine and say what would keep Ratchet from working, and what to do about it."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import psycopg
from packaging.requirements import Requirement

from configs.addresses.web_url import shown
from configs.api_keys import read_keys, require_keys
from configs.errors import ConfigError
from configs.loading import load_selected, load_use_cases, not_read
from configs.pretrained.text_models import links_left_out
from configs.schema import UseCase
from configs.security.home import readable_by_others
from configs.security.proxies import through_proxy
from configs.settings import Settings, ensure_different_ports
from configs.spelling.near_names import meant
from flows.beforehand.tool_variables import unreadable
from flows.compute.looking import look_at_clusters
from flows.inbox_strays import strays_of
from flows.servers.own_prefect import own_prefect_problem
from flows.servers.sharing import ensure_models_here
from flows.stack import probes, processes, state
from flows.stack.errors import NotHere
from flows.stack.specs import servers
from flows.status.elsewhere import run_elsewhere, started_by_itself
from models.laws.configured import model_problem
from models.streamed.choosing import foresee
from store.database.connection import connect
from store.database.embedded import binary
from store.database.embedded_user import launcher_for
from store.database.revisions import revision_problem
from store.database.sessions import ensure_sessions, has_own_session
from store.database.tls_files import ensure_tls_files
from store.errors import DatabaseError, ModelsElsewhere, PostgresFailed, StorageError
from store.objects.opening import open_storage, probe_storage

LEAST_DISK = 2_000_000_000
LEAST_MEMORY = 2_000_000_000
LEAST_POSTGRES = 14


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at."""

    what: str
    ok: bool
    found: str
    advice: str = ""
    """What to do when it is not ok."""


def examine(settings: Settings) -> Iterator[Finding]:
    """Look at everything, one finding after the other."""
    for look in (
        _python,
        _packages,
        _variables,
        _configs,
        _data,
        _home,
        _inbox,
        _disk,
        _memory,
        _training_memory,
        _database,
        _storage,
        _tools,
        _keys,
    ):
        yield look(settings)
    yield from _clusters(settings)
    try:
        ensure_different_ports(settings)
    except ConfigError as error:
        yield Finding("ports", False, str(error), "set one of them to another port")
    runs = state.running(settings.home)
    elsewhere = run_elsewhere(settings)
    for server in servers(settings):
        if server.name in runs:
            healthy = server.healthy(runs[server.name].pid)
            condition = "up" if healthy else "runs, but does not answer"
            yield Finding(
                server.name, healthy, condition, "see `ratchet status`, then `ratchet down` and `ratchet up`"
            )
        elif started_by_itself(settings, server) is not None:
            yield Finding(server.name, True, "up, not started by `ratchet up`")
        elif server.name in elsewhere:
            yield Finding(server.name, True, f"run by another home: {elsewhere[server.name]}")
        elif runs:
            yield Finding(server.name, False, "down, while others are up", "`ratchet up --detach` starts it")
        elif server.port is not None:
            yield _port(server.name, server.port, server.host, server.variable)


def _keys(settings: Settings) -> Finding:
    try:
        require_keys(settings)
        keys = read_keys(settings.api_keys)
    except ConfigError as error:
        return Finding("api keys", False, str(error), "see `ratchet keys --help`")
    names = ", ".join(key.name for key in keys) or f"none: anybody on this machine may call {settings.host}"
    return Finding("api keys", True, names)


def _python(_settings: Settings) -> Finding:
    version = ".".join(str(part) for part in sys.version_info[:3])
    return Finding(
        "python", sys.version_info >= (3, 11), version, "install Python 3.11 or newer, then `make setup`"
    )


def _packages(_settings: Settings) -> Finding:
    wrong = []
    for line in metadata.requires("ratchet") or []:
        needed = Requirement(line)
        if needed.marker is not None and not needed.marker.evaluate({"extra": ""}):
            continue
        try:
            installed = metadata.version(needed.name)
        except metadata.PackageNotFoundError:
            installed = "missing"
        if installed == "missing" or not needed.specifier.contains(installed, prereleases=True):
            wrong.append(f"{needed.name} {installed} (needed: {needed.specifier})")
    return Finding("packages", not wrong, ", ".join(wrong) or "all there", "run `make setup`")


def _variables(settings: Settings) -> Finding:
    problems = unreadable(settings, os.environ)
    found = "; ".join(problems) or "Prefect and MLflow can read theirs"
    return Finding("variables", not problems, found, "correct them, or unset them")


def _configs(settings: Settings) -> Finding:
    try:
        use_cases = load_selected(settings.config_dirs, settings.use_cases)
    except ConfigError as error:
        return Finding(
            "use cases", False, str(error), "correct the file; `ratchet schema` tells what is allowed"
        )
    problems = [f"{name}: {problem}" for name, one in use_cases.items() if (problem := model_problem(one))]
    if problems := [*problems, *_links_to_nothing(settings, use_cases.values())]:
        return Finding("use cases", False, "; ".join(problems), "correct the file, or install what it names")
    told = [f"{name}: {sentence}" for name, one in use_cases.items() for sentence in links_left_out(one)]
    told += not_read(settings.config_dirs)
    found = "; ".join([", ".join(use_cases) or "none", *told])
    return Finding("use cases", bool(use_cases), found, "add a YAML file to configs/")


def _data(settings: Settings) -> Finding:
    """The files that first models learn from: whether they can be read, and have the columns."""
    try:
        use_cases = load_selected(settings.config_dirs, settings.use_cases)
    except ConfigError:  # said of the use cases
        return Finding("data", True, "not looked at: the use cases cannot be read")
    files = {name: one for name, one in use_cases.items() if one.data.path is not None}
    if problems := [f"{name}: {problem}" for name, one in files.items() if (problem := _data_problem(one))]:
        return Finding("data", False, "; ".join(problems), "correct `data.path`, the file, or what names it")
    found = ", ".join(f"{name}: {one.data.path}" for name, one in files.items())
    return Finding("data", True, found or "no use case names a file")


def _data_problem(use_case: UseCase) -> str | None:
    from features.errors import FeatureError
    from features.files.labelled_rows import RowReader
    from features.files.layout import layout_of
    from features.files.sources import open_source

    path = Path(str(use_case.data.path))
    try:
        with closing(open_source(path, layout_of(use_case))) as source:
            RowReader(use_case).require_columns(source)
    except (FeatureError, OSError) as error:
        return str(error)
    return None


def _links_to_nothing(settings: Settings, use_cases: Iterable[UseCase]) -> list[str]:
    """Links of chains to use cases that no file describes."""
    known = sorted(load_use_cases(settings.config_dirs))
    return [
        f"{one.name}: chain.links[{place}].use_case: got '{link.use_case}', which no file describes; "
        f"allowed: {', '.join(known)}{meant(link.use_case, known)}"
        for one in use_cases
        for place, link in enumerate(one.chain.links if one.chain else ())
        if link.use_case is not None and link.use_case not in known
    ]


def _home(settings: Settings) -> Finding:
    probe = settings.home / ".probe"
    try:
        settings.home.mkdir(parents=True, exist_ok=True)
        probe.write_text("", encoding="utf-8")
        probe.unlink()
    except OSError as error:
        return Finding("home", False, str(error), "set RATCHET_HOME to a folder that you may write to")
    if readable_by_others(settings.home):
        exposure = f"other users of this machine may read or enter {settings.home}"
        return Finding("home", False, exposure, "`ratchet up` keeps it, and what is in it, to its owner")
    return Finding("home", True, str(settings.home))


def _inbox(settings: Settings) -> Finding:
    try:
        strays = strays_of(settings)
    except ConfigError:  # said of the use cases
        return Finding("inbox", True, "not looked at: the use cases cannot be read")
    return Finding(
        "inbox",
        not strays,
        "; ".join(strays) or "nothing lies where nobody reads it",
        "move the files into the folder of a use case, or take them away",
    )


def _disk(settings: Settings) -> Finding:
    place = next(folder for folder in (settings.home, *settings.home.parents) if folder.exists())
    free = shutil.disk_usage(place).free
    return Finding("disk", free >= LEAST_DISK, f"{free / 1e9:.1f} GB free", "free at least 2 GB")


def _memory(_settings: Settings) -> Finding:
    import psutil

    free = psutil.virtual_memory().available
    return Finding("memory", free >= LEAST_MEMORY, f"{free / 1e9:.1f} GB free", "free at least 2 GB")


def _training_memory(settings: Settings) -> Finding:
    """What fits will take, by the configurations alone."""
    try:
        use_cases = load_selected(settings.config_dirs, settings.use_cases)
    except ConfigError:  # said of the use cases
        return Finding("training memory", True, "not looked at: the use cases cannot be read")
    return Finding("training memory", True, "; ".join(map(foresee, use_cases.values())) or "no use case")


def _database(settings: Settings) -> Finding:
    if settings.database_url is None:
        try:
            binary("postgres")
            if settings.home.exists():
                with TemporaryDirectory(dir=settings.home, prefix=".probe-") as folder:
                    launcher_for(Path(folder))
        except PostgresFailed as error:
            return Finding("database", False, str(error), "set RATCHET_DATABASE_URL to a PostgreSQL of yours")
        return Finding("database", True, "embedded PostgreSQL")
    try:
        ensure_tls_files(settings)
        ensure_sessions(settings)
        with connect(settings.database_url) as conn:
            return _foreign_database(settings, conn)
    except DatabaseError as error:
        return Finding("database", False, str(error), "check that variable and the server")


def _storage(settings: Settings) -> Finding:
    """What machines share: an object is written, listed, read and deleted."""
    try:
        with suppress(DatabaseError):  # said of the database
            ensure_models_here(settings)
    except ModelsElsewhere as error:
        return Finding("storage", False, str(error), "docs/storage.md has how homes share a storage")
    if settings.storage_url is None:
        return Finding("storage", True, "the folders of the home")
    try:
        storage = open_storage(settings)
        probe_storage(storage)
    except (ConfigError, StorageError) as error:
        return Finding("storage", False, str(error), "correct that; docs/storage.md has each variable")
    return Finding("storage", True, f"{storage.url}: writes, lists, reads and deletes")


def _foreign_database(settings: Settings, conn: psycopg.Connection[Any]) -> Finding:
    version = conn.info.server_version // 10_000
    server = f"PostgreSQL {version}"
    if version < LEAST_POSTGRES:
        return Finding("database", False, server, f"PostgreSQL {LEAST_POSTGRES} or newer is needed")
    trigrams = conn.execute("SELECT 1 FROM pg_available_extensions WHERE name = 'pg_trgm'").fetchone()
    if trigrams is None:
        return Finding(
            "database", False, f"{server} without pg_trgm", "install PostgreSQL's contrib extensions"
        )
    read_only = conn.execute("SELECT current_setting('transaction_read_only')").fetchone()
    if read_only == ("on",):
        return Finding("database", False, f"{server}, read-only", "name the primary, or let it take writes")
    if (problem := revision_problem(conn)) is not None and "newer" in problem:
        return Finding("database", False, f"{server}: {problem}", "update this installation")
    if settings.direct_database_url is None and not has_own_session(conn):
        server += (
            " behind a pooler in transaction mode; with RATCHET_DATABASE_DIRECT_URL promotions and jobs are "
            "announced, and not looked for"
        )
    return Finding("database", True, server)


def _clusters(settings: Settings) -> Iterator[Finding]:
    """The Dask clusters that work goes to by the environment, or by a use case; none: nothing is said."""
    try:
        use_cases = load_selected(settings.config_dirs, settings.use_cases)
    except ConfigError:  # said of the use cases
        yield Finding("compute", True, "not looked at: the use cases cannot be read")
        return
    for fine, found in look_at_clusters(settings, use_cases.values()):
        yield Finding("compute", fine, found, "correct that; docs/compute.md has how a cluster is made")


def _tools(settings: Settings) -> Finding:
    """Servers of the user's own, where the environment names some."""
    problems = []
    url = settings.mlflow_uri
    if not settings.starts_mlflow and url.startswith("http") and not probes.answers(f"{url}/health"):
        way = through_proxy(url, os.environ)
        problems.append(f"MLFLOW_TRACKING_URI: nothing answers at {shown(url)}{way}")
    if not settings.starts_prefect and (problem := own_prefect_problem(settings)) is not None:
        problems.append(problem)
    advice = "correct that, or unset MLFLOW_TRACKING_URI or PREFECT_API_URL so that Ratchet starts its own"
    return Finding("your servers", not problems, "; ".join(problems) or "none, or they answer", advice)


def _port(server: str, port: int, host: str, variable: str) -> Finding:
    try:
        free = processes.port_is_free(port, host)
    except NotHere as error:
        return Finding(server, False, str(error), "set RATCHET_HOST to an address of this machine")
    occupancy = f"port {port} is free" if free else f"port {port} is taken by {processes.port_holder(port)}"
    return Finding(server, free, occupancy, f"stop that process, or set {variable} to a free port")
