"""Where Ratchet runs: every environment variable that it reads, in one place.

Precedence: an argument on the command line, then the environment, then the default here.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from configs.addresses.database_url import read_database_url
from configs.addresses.storage_url import noted_storage, read_storage_url
from configs.compute.address import ALLOWED as COMPUTE_ALLOWED
from configs.compute.address import ComputeAddress, ComputeCertificates, read_compute
from configs.errors import SettingError
from configs.logs import LogFormat
from configs.security.origins import canonical_host, host_name, is_loopback

_CERTIFICATES = ("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
_POOL_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
CHECKOUT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Settings:
    """Directories, addresses and ports of one installation."""

    home: Path
    """`RATCHET_HOME` (`.ratchet` in the working directory): everything that Ratchet writes."""
    database_url: str | None
    """`RATCHET_DATABASE_URL` (none): your PostgreSQL; absent, Ratchet starts its own under its home."""
    storage_url: str | None
    """`RATCHET_STORAGE` (what the home was started with; else its folders): storage that machines share,
    `s3://bucket/prefix` with the usual `AWS_*` variables or `file:///folder`; the home is a cache of it then;
    set and empty: the folders of the home."""
    direct_database_url: str | None
    """`RATCHET_DATABASE_DIRECT_URL` (none): the way to the same database without a pooler in transaction
    mode, where `RATCHET_DATABASE_URL` leads to one: for notices, locks, MLflow, Prefect and migrations."""
    host: str
    """`RATCHET_HOST` (127.0.0.1): address that the service binds to; MLflow and Prefect stay on loopback."""
    port: int
    """`RATCHET_PORT` (3000): port of the service."""
    mlflow_port: int
    """`RATCHET_MLFLOW_PORT` (5000): port of the MLflow server that Ratchet starts."""
    prefect_port: int
    """`RATCHET_PREFECT_PORT` (4200): port of the Prefect server that Ratchet starts."""
    workers: int
    """`RATCHET_WORKERS` (1): processes of the service."""
    use_cases: tuple[str, ...]
    """`RATCHET_USE_CASES` (those that the home serves, with new ones of your own; else all): comma-separated
    names of the use cases that are served and scheduled; set and empty: all."""
    config_dirs: tuple[Path, ...]
    """`RATCHET_CONFIGS` (those that the home serves from): folders of use cases beside the shipped ones,
    separated as in `PATH`; set and empty: none."""
    mlflow_uri: str
    """`MLFLOW_TRACKING_URI` (the local server): your MLflow; Ratchet then starts none."""
    prefect_url: str
    """`PREFECT_API_URL` (the local server): API of your Prefect; Ratchet then starts none."""
    api_keys: Path
    """`RATCHET_API_KEYS` (`keys.yaml` in the home): file of API keys, kept by `ratchet keys`; required where
    the service does not listen on loopback."""
    allowed_origins: tuple[str, ...]
    """`RATCHET_ALLOWED_ORIGINS` (none): comma-separated origins whose web pages may call the service, each
    exactly as browsers send it: `https://page.example`."""
    allowed_hosts: tuple[str, ...]
    """`RATCHET_ALLOWED_HOSTS` (none): comma-separated names, without ports, that the servers answer to beside
    loopback and the address that the service is bound to: what browsers and proxies write into `Host`."""
    max_connections: int
    """`RATCHET_MAX_CONNECTIONS` (2048): connections that a worker of the service keeps open; beyond them,
    idle and slow ones make room."""
    max_in_flight: int
    """`RATCHET_MAX_IN_FLIGHT` (512): requests that a worker has in hand; others are told to come later."""
    slow_client_seconds: int
    """`RATCHET_SLOW_CLIENT_SECONDS` (10): time for a request to arrive, with one second more for every 16 KB
    that came; slower ones are cut off, and so is who does not read its answer for so long."""
    drain_seconds: int = 0
    """`RATCHET_DRAIN_SECONDS` (0): how long the service, told to end, still answers all that comes while
    `/readyz` says that nothing more should: as long as a load balancer takes to notice."""
    log_format: LogFormat = "text"
    """`RATCHET_LOG_FORMAT` (text): `json` writes each log line as a JSON object."""
    service_python: Path | None = None
    """`RATCHET_SERVICE_PYTHON` (that of `ratchet`): Python of the environment in which `ratchet up` starts
    the service, such as `.venv-serve/bin/python`, where what only training needs is not installed;
    `PYTHONPATH` is not handed on to it."""
    access_log: bool = False
    """`RATCHET_ACCESS_LOG` (0): `1` has the service log every request, with request and prediction ids."""
    compute: ComputeAddress | None = None
    """`RATCHET_COMPUTE` (what the use case says in `compute`, else this machine): where challengers are made,
    replays fit and files are answered: `local`, `local:4` for 4 processes, `dask://host:8786`, or
    `tls://host:8786`; it wins over the use case's own."""
    compute_ca: Path | None = None
    """`RATCHET_COMPUTE_CA` (what Dask's own configuration says): certificate of who signed those of a
    `tls://` cluster."""
    compute_cert: Path | None = None
    """`RATCHET_COMPUTE_CERT` (what Dask's own configuration says): this side's certificate for it."""
    compute_key: Path | None = None
    """`RATCHET_COMPUTE_KEY` (what Dask's own configuration says): the key of that certificate."""
    work_pool: str = "ratchet"
    """`RATCHET_WORK_POOL` (ratchet): Prefect's work pool that flow runs go to, and that `ratchet worker` and
    the worker of `ratchet up` serve."""
    work_pool_type: str = "process"
    """`RATCHET_WORK_POOL_TYPE` (process): its type: `process`, or `docker` or `kubernetes`, which Prefect's
    own workers serve."""
    warm_flows: bool = True
    """`RATCHET_WARM_FLOWS` (1): `0` has each flow run import its libraries itself, five seconds more, and the
    worker keep no process that has them imported, which takes 400 MB. Not on Linux it is as with 0."""
    starts_mlflow: bool = True
    """Whether `ratchet up` starts an MLflow server: not when `MLFLOW_TRACKING_URI` names yours."""
    starts_prefect: bool = True
    """Whether `ratchet up` starts a Prefect server: not when `PREFECT_API_URL` names yours."""

    @property
    def compute_certificates(self) -> ComputeCertificates:
        """Files of a `tls://` cluster."""
        return ComputeCertificates(self.compute_ca, self.compute_cert, self.compute_key)

    @property
    def service_url(self) -> str:
        """Address of the service."""
        return f"http://{bracketed(self.host)}:{self.port}"


def ensure_different_ports(settings: Settings) -> None:
    """Refuse two servers of a stack on one port; a service alone has only its own.

    Raises:
        SettingError: it names both variables.
    """
    ports = {"RATCHET_PORT": settings.port}
    if settings.starts_mlflow:
        ports["RATCHET_MLFLOW_PORT"] = settings.mlflow_port
    if settings.starts_prefect:
        ports["RATCHET_PREFECT_PORT"] = settings.prefect_port
    owners: dict[int, str] = {}
    for name, port in ports.items():
        if (owner := owners.setdefault(port, name)) != name:
            raise SettingError(name, str(port), f"another port than that of {owner}")


def read_settings(environ: Mapping[str, str] | None = None) -> Settings:
    """Read the settings from `environ` (default: the process environment).

    Raises:
        SettingError: a variable holds what it may not; the message names it and what is allowed.
    """
    env = os.environ if environ is None else environ
    home = Path(env.get("RATCHET_HOME", ".ratchet")).resolve()
    host = _host(env)
    ensure_files(env)
    port = _port(env, "RATCHET_PORT", 3000)
    mlflow_port = _port(env, "RATCHET_MLFLOW_PORT", 5000)
    prefect_port = _port(env, "RATCHET_PREFECT_PORT", 4200)
    extra = tuple(Path(part).resolve() for part in env.get("RATCHET_CONFIGS", "").split(os.pathsep) if part)
    if missing := [folder for folder in extra if not folder.is_dir()]:
        raise SettingError("RATCHET_CONFIGS", str(missing[0]), "folders that exist")
    return Settings(
        home=home,
        database_url=read_database_url(url) if (url := env.get("RATCHET_DATABASE_URL", "").strip()) else None,
        storage_url=storage_url_of(home, env),
        direct_database_url=_direct_url(env),
        host=host,
        port=port,
        mlflow_port=mlflow_port,
        prefect_port=prefect_port,
        workers=_integer(env, "RATCHET_WORKERS", 1, low=1, high=256),
        use_cases=tuple(name.strip() for name in env.get("RATCHET_USE_CASES", "").split(",") if name.strip()),
        config_dirs=tuple(dict.fromkeys((CHECKOUT / "configs", *extra))),  # each once, however often named
        mlflow_uri=_tracking_uri(env) or f"http://127.0.0.1:{mlflow_port}",
        prefect_url=(env.get("PREFECT_API_URL") or f"http://127.0.0.1:{prefect_port}/api").rstrip("/"),
        log_format="json" if _one_of(env, "RATCHET_LOG_FORMAT", ("text", "json")) == "json" else "text",
        service_python=_interpreter(env, "RATCHET_SERVICE_PYTHON"),
        access_log=_one_of(env, "RATCHET_ACCESS_LOG", ("0", "1")) == "1",
        warm_flows=_one_of(env, "RATCHET_WARM_FLOWS", ("1", "0")) == "1",
        api_keys=Path(env.get("RATCHET_API_KEYS") or home / "keys.yaml").resolve(),
        allowed_origins=_origins(env),
        allowed_hosts=_hosts(env),
        max_connections=_integer(env, "RATCHET_MAX_CONNECTIONS", 2048, low=1, high=1_000_000),
        max_in_flight=_integer(env, "RATCHET_MAX_IN_FLIGHT", 512, low=1, high=100_000),
        slow_client_seconds=_integer(env, "RATCHET_SLOW_CLIENT_SECONDS", 10, low=1, high=3600),
        compute=_compute(env),
        compute_ca=_file(env, "RATCHET_COMPUTE_CA"),
        compute_cert=_file(env, "RATCHET_COMPUTE_CERT"),
        compute_key=_file(env, "RATCHET_COMPUTE_KEY"),
        work_pool=_pool_name(env),
        work_pool_type=_one_of(env, "RATCHET_WORK_POOL_TYPE", ("process", "docker", "kubernetes")),
        drain_seconds=_integer(env, "RATCHET_DRAIN_SECONDS", 0, low=0, high=3600),
        starts_mlflow=not env.get("MLFLOW_TRACKING_URI"),
        starts_prefect=not env.get("PREFECT_API_URL"),
    )


def _tracking_uri(env: Mapping[str, str]) -> str:
    """Your MLflow; one without `http://` MLflow would take for a folder of this name."""
    text = env.get("MLFLOW_TRACKING_URI", "")
    if re.fullmatch(r"([\w.-]+|\[[0-9a-fA-F:.]+\]):\d{1,5}(/.*)?", text):
        raise SettingError("MLFLOW_TRACKING_URI", text, f"an address with its scheme, such as http://{text}")
    return text


def storage_url_of(home: Path, environ: Mapping[str, str] | None = None) -> str | None:
    """What is set, also where it is set to nothing; otherwise what the home was started with.

    Raises:
        SettingError: it is no address of a storage.
    """
    env = os.environ if environ is None else environ
    if "RATCHET_STORAGE" not in env:
        return noted_storage(home)
    text = env["RATCHET_STORAGE"].strip()
    return read_storage_url(text) if text else None


def _compute(env: Mapping[str, str]) -> ComputeAddress | None:
    text = env.get("RATCHET_COMPUTE", "").strip()
    if not text:
        return None
    try:
        return read_compute(text)
    except ValueError:
        raise SettingError("RATCHET_COMPUTE", text[:80], COMPUTE_ALLOWED) from None


def _file(env: Mapping[str, str], name: str) -> Path | None:
    text = env.get(name, "").strip()
    if not text:
        return None
    path = Path(text).absolute()
    if not path.is_file():
        raise SettingError(name, text, "a file that exists")
    return path


def _pool_name(env: Mapping[str, str]) -> str:
    """The name of a work pool, which stands in addresses and in a file of settings."""
    name = env.get("RATCHET_WORK_POOL", "").strip() or "ratchet"
    if _POOL_NAME.fullmatch(name) is None:
        raise SettingError("RATCHET_WORK_POOL", name, "letters, digits, `-` and `_`, at most 64")
    return name


def _interpreter(env: Mapping[str, str], name: str) -> Path | None:
    """A program; links stay as they are, as Python tells its environment by where it was called."""
    text = env.get(name, "").strip()
    if not text:
        return None
    path = Path(text).absolute()
    if not path.is_file() or not os.access(path, os.X_OK):
        raise SettingError(name, text, "the python of an environment, such as .venv-serve/bin/python")
    return path


def _one_of(env: Mapping[str, str], name: str, allowed: Sequence[str]) -> str:
    """The value of a variable; the first of those allowed where it is not set."""
    text = env.get(name, "").strip().lower() or allowed[0]
    if text not in allowed:
        raise SettingError(name, text, " or ".join(allowed))
    return text


def _origins(env: Mapping[str, str]) -> tuple[str, ...]:
    parts = tuple(part.strip().lower() for part in env.get("RATCHET_ALLOWED_ORIGINS", "").split(","))
    origins = tuple(origin for origin in parts if origin)
    for origin in origins:
        address = urlsplit(origin)
        if (
            address.scheme not in ("http", "https")
            or origin != f"{address.scheme}://{address.netloc}"
            or "*" in origin
        ):
            raise SettingError(
                "RATCHET_ALLOWED_ORIGINS",
                origin,
                "origins such as https://page.example or http://10.0.0.5:8080",
            )
    return origins


def _hosts(env: Mapping[str, str]) -> tuple[str, ...]:
    parts = tuple(part.strip() for part in env.get("RATCHET_ALLOWED_HOSTS", "").split(","))
    hosts = tuple(host for host in parts if host)
    for host in hosts:
        if host_name(f"[{host}]" if host.count(":") > 1 and host[0] != "[" else host) != canonical_host(host):
            raise SettingError(
                "RATCHET_ALLOWED_HOSTS", host, "names such as ratchet.example or 10.0.0.5, without a port"
            )
    return tuple(canonical_host(host) for host in hosts)


def own_hosts(settings: Settings) -> tuple[str, ...]:
    """Hosts of servers that are on this machine, beside the usual names of loopback."""
    named = (urlsplit(url).hostname or "" for url in (settings.mlflow_uri, settings.prefect_url))
    return (settings.host, *(name for name in named if is_loopback(name)))


def bracketed(host: str) -> str:
    """A host as it stands in a URL.

    >>> bracketed("::1"), bracketed("localhost")
    ('[::1]', 'localhost')
    """
    return f"[{host}]" if ":" in host else host


def _host(env: Mapping[str, str]) -> str:
    """The address to bind to, without the brackets that an address of IPv6 has in a URL."""
    text = env.get("RATCHET_HOST", "").strip()
    if not text:
        return "127.0.0.1"
    is_ipv6 = text.count(":") > 1 or text[0] == "["
    host = host_name(text if text[0] == "[" else f"[{text}]") if is_ipv6 else host_name(text)
    if host is None or (":" in text and not is_ipv6) or "]:" in text:
        allowed = "an address or a name of this machine, such as 127.0.0.1, ::1 or 0.0.0.0, without a port"
        raise SettingError("RATCHET_HOST", text, f"{allowed} (that is RATCHET_PORT)")
    return host


def ensure_files(env: Mapping[str, str]) -> None:
    """Refuse files of certificates that are not there: libraries fail on them, whatever they connect to.

    Raises:
        SettingError: it names the variable.
    """
    for name in _CERTIFICATES:
        value = env.get(name)
        if value and not Path(value).exists():
            raise SettingError(name, value, "a file or folder of certificates that exists, or nothing")


def _direct_url(env: Mapping[str, str]) -> str | None:
    name = "RATCHET_DATABASE_DIRECT_URL"
    url = env.get(name, "").strip()
    if not url:
        return None
    if not env.get("RATCHET_DATABASE_URL", "").strip():
        raise SettingError(name, "an address", "one beside RATCHET_DATABASE_URL, which is not set")
    return read_database_url(url, name)


def _port(env: Mapping[str, str], name: str, default: int) -> int:
    return _integer(env, name, default, low=1, high=65535)


def _integer(env: Mapping[str, str], name: str, default: int, *, low: int, high: int) -> int:
    text = env.get(name, "").strip()
    if not text:
        return default
    if not text.isascii() or not text.isdigit() or not low <= int(text) <= high:
        raise SettingError(name, text, f"a whole number from {low} to {high}")
    return int(text)
