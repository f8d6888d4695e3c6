"""One version of a model as a directory: what is in it, and proof that it is whole.

manifest.json    what the version is, and the SHA-256 of every other file; its own is in the ledger
use_case.json    the configuration that it was made with
encoder.json     what the encoder learned
encoder/         what an encoder of another package learned; its name is in encoder.json
meaning/         the sentence transformer that the encoder asks (texts by meaning only)
model.onnx       what servers run (runtime `onnx`)
native/          what a warm start continues from, and what servers run (runtime `native`); of a blend a
                 folder for each member
probe.json       a few held-out records with the answers they must get
fit.json         what the fit was given besides (`models.provenance.fit_inputs`); older versions have none
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from configs.schema import Kind, Task, UseCase
from configs.schema.base import Identifier
from features.encoders.carried_files import CarriesFiles
from features.encoders.contract import Encoder, encoder_of
from models.errors import ArtifactError, ArtifactTooNew, CannotLoadNow
from models.passing_faults import is_passing
from models.provenance.fit_inputs import FIT, FitInputs

FORMAT = 4
"""The newest that is read. 1 is read as ever; since 2 encoders have plausible bounds, which an older Ratchet
would leave out; 3 are blends, of which an older one would know only the estimator; 4 have an encoder of
another package, of which an older one would know only the kind."""
BLEND_FORMAT = 3
PLAIN_FORMAT = 2
"""Of what is neither, so that an older Ratchet reads it still."""
MANIFEST = "manifest.json"
USE_CASE = "use_case.json"
ENCODER = "encoder.json"
ONNX = "model.onnx"
NATIVE = "native"
PROBE = "probe.json"

M = TypeVar("M", bound=BaseModel)


class Frozen(BaseModel):
    """Base of the documents in an artifact: immutable, and unknown keys are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Parity(Frozen):
    """How the exported model compares with the native one on held-out rows."""

    max_difference: float
    """Largest difference between two probabilities."""
    tolerance: float
    """Largest that is allowed."""
    rows: int
    """Rows compared."""

    @property
    def agrees(self) -> bool:
        """Whether the difference is allowed."""
        return self.max_difference <= self.tolerance


class Lineage(Frozen):
    """Where a version comes from."""

    snapshot_digest: str | None = None
    """The training snapshot."""
    parent_version: int | None = None
    """Production when the version was made; a warm start continued from it."""
    trigger: str | None = None
    """Why the training was started: `drift`, `schedule` and so on."""
    run_id: str | None = None
    """The run that made it."""
    code_revision: str | None = None
    """Revision of the code."""


class MemberManifest(Frozen):
    """One model of a blend."""

    name: Identifier
    """Name in the configuration, and of its folder in `native/`."""
    weight: Annotated[float, Field(ge=0, le=1)]
    """Share of its answer in the whole; 0: it is kept, and not asked."""
    rows: int
    """Rows that it has learned from, those of updates too."""
    window: int | None = None
    """Of the newest this many retrains its rows were; None: all."""


class Manifest(Frozen):
    """What a version is."""

    format: int
    """Version of this layout."""
    use_case: str
    kind: Kind
    task: Task
    classes: tuple[str, ...]
    """Labels in the order of the probabilities."""
    positive: str | None
    """The class that binary metrics speak of."""
    thresholds: dict[str, float] = {}
    """Label to the probability from which it is given (multilabel)."""
    challenger: str
    """Name of the challenger in the configuration."""
    fit: Literal["full", "warm"]
    estimator: str
    """Name in the table; of a blend, that of its members."""
    params: dict[str, Any]
    members: tuple[MemberManifest, ...] = ()
    """Whose answers are blended; none where one model answers."""
    seed: int
    rows: int
    """Training rows that the model learned from."""
    notes: tuple[str, ...]
    """What the fit decided by itself."""
    runtime: Literal["onnx", "native"]
    """What servers run."""
    input_shape: tuple[int, ...]
    """Shape of one encoded row."""
    parity: Parity | None
    """Absent for runtime `native`, which has nothing to differ from."""
    lineage: Lineage
    created_at: datetime
    files: dict[str, str]
    """Path to SHA-256 of every file but this one."""

    def to_document(self) -> dict[str, Any]:
        """As it is written; without `members` where there are none, a key that an older Ratchet refuses."""
        return self.model_dump(mode="json", exclude=None if self.members else {"members"})


class Probe(Frozen):
    """Records with the answers they must get."""

    records: tuple[str, ...]
    """Canonical JSON, as `RecordContract.to_json` writes it."""
    probabilities: tuple[tuple[float, ...], ...]


def read_manifest(directory: Path) -> Manifest:
    """The manifest of a version whose files are all there and unchanged.

    Raises:
        ArtifactError: the directory is no artifact, or a file in it is missing, was changed or was added;
            the message names the file.
        ArtifactTooNew: it is of a newer format.
        CannotLoadNow, OSError: it cannot be read now, for what the machine lacks.
    """
    raw = _read_json(directory, MANIFEST)
    format_number = raw.get("format") if isinstance(raw, dict) else None
    if type(format_number) is not int or format_number < 1:
        raise ArtifactError(directory, f"{MANIFEST} has format {format_number!r}; allowed: 1 to {FORMAT}")
    if format_number > FORMAT:
        raise ArtifactTooNew(directory, format_number, FORMAT)
    manifest = _parse(directory, MANIFEST, Manifest, raw)
    for name, digest in manifest.files.items():
        if _inside(directory, name).is_file() is False:
            raise ArtifactError(directory, f"file {name} is missing")
        if file_digest(directory / name) != digest:
            raise ArtifactError(directory, f"file {name} was changed after the model was made")
    if extra := unlisted_files(directory, manifest.files):
        raise ArtifactError(directory, f"file {extra[0]} is not in the manifest")
    return manifest


def artifact_digest(directory: Path) -> str:
    """The digest that the ledger records of a version: SHA-256 of its manifest as it lies on disk.

    The manifest holds the SHA-256 of every other file, and `read_manifest` refuses others beside them.

    Raises:
        ArtifactError: there is no manifest.
        CannotLoadNow: it cannot be read now, for what the machine lacks.
    """
    try:
        return file_digest(directory / MANIFEST)
    except OSError as error:
        raise _unreadable(directory, MANIFEST, error) from error


def listed_files(directory: Path) -> list[str]:
    """Files that a manifest names, none of them outside its directory.

    Raises:
        ArtifactError: it is no manifest, or a name leads outside.
    """
    raw = _read_json(directory, MANIFEST)
    files = raw.get("files") if isinstance(raw, dict) else None
    if not isinstance(files, dict):
        raise ArtifactError(directory, f"{MANIFEST} names no files")
    for name in files:
        _inside(directory, name)
    return list(files)


def unlisted_files(directory: Path, listed: Collection[str]) -> list[str]:
    """Files of a version's directory that its manifest does not name."""
    paths = (path.relative_to(directory).as_posix() for path in directory.rglob("*") if path.is_file())
    return sorted(name for name in paths if name != MANIFEST and name not in listed)


def read_use_case(directory: Path) -> UseCase:
    """The configuration that the version was made with."""
    return _parse(directory, USE_CASE, UseCase, _read_json(directory, USE_CASE))


def read_encoder(directory: Path, kind: Kind) -> Encoder:
    """The encoder that the version was made with."""
    state = _read_json(directory, ENCODER)
    encoder = encoder_of(kind, state)
    if issubclass(encoder, CarriesFiles):
        carrying: Encoder = encoder.from_files(state, directory)
        return carrying
    return encoder.from_state(state)


def write_encoder(directory: Path, encoder: Encoder) -> None:
    """Write what an encoder has learned, and the files that it needs, into a folder that exists."""
    write_json(directory / ENCODER, encoder.to_state())
    if isinstance(encoder, CarriesFiles):
        encoder.write_files(directory)


def read_probe(directory: Path) -> Probe:
    """The records and answers that prove a load."""
    return _parse(directory, PROBE, Probe, _read_json(directory, PROBE))


def read_fit(directory: Path) -> FitInputs | None:
    """What the fit of the version was given; None for one that an earlier release made."""
    return (
        _parse(directory, FIT, FitInputs, _read_json(directory, FIT)) if (directory / FIT).exists() else None
    )


def read_document(directory: Path, name: str, schema: type[M]) -> M:
    """One of the documents in a directory.

    Raises:
        ArtifactError: it is missing, or not what it should be.
    """
    return _parse(directory, name, schema, _read_json(directory, name))


def write_json(path: Path, content: Any) -> None:
    """Write JSON the same way each time."""
    path.write_text(json.dumps(content, ensure_ascii=False, allow_nan=False, indent=1), encoding="utf-8")


def file_digests(directory: Path) -> dict[str, str]:
    """Path, relative and with `/`, to SHA-256 of every file below a directory."""
    files = sorted(path for path in directory.rglob("*") if path.is_file())
    return {path.relative_to(directory).as_posix(): file_digest(path) for path in files}


def file_digest(path: Path) -> str:
    """SHA-256 in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _inside(directory: Path, name: str) -> Path:
    path = directory / name
    if not path.resolve().is_relative_to(directory.resolve()):
        raise ArtifactError(directory, f"file {name} lies outside")
    return path


def _read_json(directory: Path, name: str) -> Any:
    try:
        return json.loads((directory / name).read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ArtifactError(directory, f"file {name} is missing") from error
    except (OSError, ValueError) as error:
        raise _unreadable(directory, name, error) from error


def _unreadable(directory: Path, name: str, error: Exception) -> ArtifactError | CannotLoadNow:
    """A file that cannot be read, by whose fault that is: a copy is thrown away for its own alone."""
    if is_passing(error):
        return CannotLoadNow(error)
    return ArtifactError(directory, f"file {name} cannot be read: {error}")


def _parse(directory: Path, name: str, schema: type[M], raw: Any) -> M:
    try:
        return schema.model_validate(raw)
    except ValidationError as error:
        raise ArtifactError(directory, f"file {name} is not what it should be: {error}") from error
