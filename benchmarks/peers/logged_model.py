"""Log an artifact as Ratchet registers it, and print its address: what `mlflow models serve` is given.

`python -m benchmarks.peers.logged_model STORE ARTIFACT FOLDER`
"""

from __future__ import annotations

import sys
from pathlib import Path

import mlflow

from models.pyfunc import log_model

if __name__ == "__main__":
    store, artifact, folder = sys.argv[1:]
    mlflow.set_tracking_uri(store)
    mlflow.create_experiment("benchmark", artifact_location=Path(folder).as_uri())
    mlflow.set_experiment("benchmark")
    with mlflow.start_run():
        sys.stdout.write(log_model(Path(artifact)) + "\n")
