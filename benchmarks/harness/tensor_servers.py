"""Servers of the Open Inference Protocol, each in an environment of its own: MLServer and Triton."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.harness.model import as_json
from benchmarks.harness.servers import Images, Peer, free_port
from benchmarks.hot_path.records import PICTURE, use_case_of
from benchmarks.peers.graph import inputs_of
from configs.settings import CHECKOUT

MODELS = CHECKOUT / "benchmarks" / "peers"
ENVIRONMENTS = CHECKOUT / "build" / "peers"
"""Kept, as what is installed there does not go with Ratchet's pins."""
MLSERVER, BATCHING, TRITON = "MLServer", "MLServer, batching", "Triton, Python backend"
PIXELS = 784
MOST_ROWS = 64
"""In one batch of Triton's."""


def tensor_servers(kind: str, graph: Path, folder: Path) -> dict[str, Callable[[], Peer]]:
    """How each is made, by its name."""
    return {
        MLSERVER: lambda: mlserver(MLSERVER, kind, graph, folder, {}),
        BATCHING: lambda: mlserver(
            BATCHING, kind, graph, folder, {"max_batch_size": 32, "max_batch_time": 0.005}
        ),
        TRITON: lambda: triton(kind, graph, folder),
    }


def mlserver(name: str, kind: str, graph: Path, folder: Path, batching: dict[str, Any]) -> Peer:
    """MLServer with a custom runtime, in one process, which is the faster way of its two."""
    environment = installed("mlserver", "mlserver", "onnxruntime")
    port = free_port()
    settings = {
        "http_port": port, "grpc_port": free_port(), "metrics_port": free_port(), "host": "127.0.0.1",
        "parallel_workers": 0, "debug": False,
    }  # fmt: skip
    model = {
        "name": kind,
        "implementation": "mlserver_model.Graph",
        "parameters": {"uri": str(graph)},
        **batching,
    }
    home = folder / name.replace(", ", "-")
    home.mkdir()
    (home / "settings.json").write_text(json.dumps(settings))
    (home / "model-settings.json").write_text(json.dumps(model))
    shutil.copy(MODELS / "mlserver_model.py", home)
    command = [str(environment / "bin" / "mlserver"), "start", str(home)]
    return Peer(name, command, port, f"/v2/models/{kind}/infer", tensor_body(kind), cwd=home)


def triton(kind: str, graph: Path, folder: Path) -> Peer:
    """Triton with its own HTTP server and dynamic batching; the wheel has no backend but Python's."""
    environment = installed("triton", "nvidia-pytriton", "onnxruntime")
    [packages] = environment.glob("lib/python*/site-packages")
    parts = packages / "pytriton" / "tritonserver"
    backends, repository = folder / "triton-backends", folder / "triton-models"
    shutil.copytree(parts / "backends", backends)
    stub = parts / "python_backend_stubs" / sysconfig.get_python_version() / "triton_python_backend_stub"
    shutil.copy(stub, backends / "python")
    model = repository / kind
    (model / "1").mkdir(parents=True)
    shutil.copy(MODELS / "triton_model.py", model / "1" / "model.py")
    (model / "config.pbtxt").write_text(triton_config(kind, graph))
    port = free_port()
    command = [
        *(str(parts / "bin" / "tritonserver"), "--model-repository", str(repository)),
        *("--backend-directory", str(backends), "--http-address", "127.0.0.1", "--http-port", str(port)),
        *("--allow-grpc=false", "--allow-metrics=false"),
    ]
    libraries = (sysconfig.get_config_var("LIBDIR"), packages / "nvidia_pytriton.libs")
    environ = {
        # The backend finds its packages by the first `python3` there.
        "PATH": os.pathsep.join([str(environment / "bin"), os.environ["PATH"]]),
        "LD_LIBRARY_PATH": os.pathsep.join(map(str, libraries)),
    }
    return Peer(TRITON, command, port, f"/v2/models/{kind}/infer", tensor_body(kind), environ, cwd=folder)


def triton_config(kind: str, graph: Path) -> str:
    """What Triton is told of the model."""
    types = {"FP32": "TYPE_FP32", "UINT8": "TYPE_UINT8", "BYTES": "TYPE_STRING"}
    inputs = ", ".join(
        f'{{name: "{name}" data_type: {types[datatype]} dims: [{width}]}}'
        for name, datatype, width in tensors_of(kind)
    )
    classes = len(use_case_of(kind).target.classes or ())
    return (
        f'name: "{kind}"\nbackend: "python"\nmax_batch_size: {MOST_ROWS}\ndynamic_batching {{}}\n'
        f'input [{inputs}]\noutput [{{name: "scores" data_type: TYPE_FP32 dims: [{classes}]}}]\n'
        "instance_group [{kind: KIND_CPU count: 1}]\n"
        f'parameters {{key: "graph" value: {{string_value: "{graph}"}}}}\n'
    )


def tensors_of(kind: str) -> list[tuple[str, str, int]]:
    """Name, datatype and width of each tensor of a request."""
    if kind == PICTURE:
        return [("image", "UINT8", PIXELS)]
    return [
        (name, "FP32" if name == "numbers" else "BYTES", len(fields))
        for name, fields in inputs_of(kind).items()
    ]


def tensor_body(kind: str) -> Callable[[Images], str]:
    """The form of the protocol: fields of one type are one tensor, which is less to read than one a field."""
    tensors, fields = tensors_of(kind), list(inputs_of(kind).values())

    def flat(record: Any, datatype: str, names: tuple[str, ...]) -> list[Any]:
        if kind == PICTURE:
            return [pixel for row in record for pixel in row]
        # Triton takes no booleans as numbers.
        return [float(record[name]) if datatype == "FP32" else record[name] for name in names]

    def body(records: Images) -> str:
        inputs = [
            {
                "name": name,
                "datatype": datatype,
                "shape": [len(records), width],
                "data": [value for record in records for value in flat(record, datatype, names)],
            }
            for (name, datatype, width), names in zip(tensors, fields, strict=True)
        ]
        return as_json({"inputs": inputs})

    return body


def installed(name: str, *packages: str) -> Path:
    """The environment that holds these packages, made where it is not there yet.

    Raises:
        RuntimeError: they cannot be installed here.
    """
    home = ENVIRONMENTS / name
    if (home / "complete").exists():
        return home
    uv, python = str(Path(sys.executable).parent / "uv"), str(home / "bin" / "python")
    for command in (
        [uv, "venv", "-q", "--clear", "--python", sys.executable, str(home)],
        [uv, "pip", "install", "-q", "--python", python, *packages],
    ):
        try:
            subprocess.run(command, check=True, capture_output=True, text=True)
        except subprocess.CalledProcessError as error:
            raise RuntimeError(f"{packages[0]} cannot be installed here: {error.stderr}") from error
        except OSError as error:
            raise RuntimeError(f"{packages[0]} cannot be installed here: {error}") from error
    (home / "complete").touch()
    return home
