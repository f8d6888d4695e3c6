"""Errors of the store.

StoreError
├── SnapshotError          a snapshot that is damaged or cannot be taken
│   └── UnknownSnapshot    one that this database does not know
├── HistoryError           a table of labelled rows, or of predictions, cannot be read or written
│   ├── HistoryDamaged     it is not what it was
│   └── HistoryBusy        another process has changed it meanwhile
├── PredictionsAway        predictions that were moved, and that no worker brings back
├── PageError              a drift page that is not as Evidently draws them
├── WrongLabels            labels that stored rows cannot be given
├── UnknownSource          a source that no label is of
├── UnknownLabels          ids that no label has
├── StorageError
│   ├── StorageRefused     the storage cannot be used as it is configured
│   ├── StorageUnavailable it does not answer
│   │   └── StorageSilent  it takes what is sent, and was waited for in vain
│   ├── StorageBehind      it lacks what was kept elsewhere
│   ├── ModelsElsewhere    it lacks what the database knows
│   ├── ObjectMissing      no object of a key
│   ├── ObjectExists       an object that was not to be replaced
│   └── WrongKey           a key that cannot be one
├── FileBusy               an output that another process answers into
├── DatabaseError
│   ├── DatabaseUnavailable
│   └── PostgresFailed     the embedded server does not start or stop
└── RunError
    ├── RunBusy
    ├── RunNotFound
    ├── NothingRunning
    └── Fenced
"""

from __future__ import annotations

from collections.abc import Sequence

from configs.spelling.near_names import meant


class StoreError(Exception):
    """Base of everything that this layer raises on purpose."""


class SnapshotError(StoreError):
    """A snapshot that cannot be taken or whose content is not what its name says."""


class UnknownSnapshot(SnapshotError):
    """A snapshot that this database does not know."""

    def __init__(self, digest: str) -> None:
        super().__init__(
            f"no snapshot has the digest {digest}: what was made of it comes from another database, or from "
            "after the dump that this one was restored from. RATCHET_DATABASE_URL names another; `ratchet "
            "rollback USE_CASE --to V` goes back to a version of this one"
        )


class HistoryError(StoreError):
    """A table of labelled rows, or of predictions, cannot be read or written; says where and why."""


class HistoryDamaged(HistoryError):
    """It is not what it was: a file is gone or damaged, or rows are others; it can be made again."""


class HistoryBusy(HistoryError):
    """Another process has changed it meanwhile: what was to be written was not."""


class PredictionsAway(StoreError):
    """A prediction that was moved out of the database, and that no worker has brought back yet."""

    def __init__(self, prediction_id: str) -> None:
        super().__init__(
            f"prediction '{prediction_id[:40]}' is old, and lies in a table beside the database "
            "(`retention.prediction_database_days`); no worker that has the table has brought it back yet. "
            "Try again while `ratchet up`, or a worker, runs"
        )


class PageError(StoreError):
    """A page of a drift check that is not as Evidently draws them, and so is not shown."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"the page is not as Evidently draws them: {reason}")


class WrongLabels(StoreError):
    """Labels that the configuration does not allow; the message says which it does."""


class UnknownSource(StoreError):
    """No label of a use case is of this source."""

    def __init__(self, use_case: str, name: str, names: list[str]) -> None:
        shown, near = ", ".join(names[:20]) or "none", meant(name, names)
        super().__init__(
            f"'{use_case}' has no labels of a source '{name[:80]}'{near}; those that it has: {shown}"
        )


class FileBusy(StoreError):
    """Another process answers a file into the same output."""

    def __init__(self, output: str) -> None:
        super().__init__(f"another process answers a file into {output}; wait for it, or name another output")


class UnknownLabels(StoreError):
    """No label of a use case has these ids, or had them."""

    def __init__(self, use_case: str, ids: list[str], source: str | None = None) -> None:
        shown = ", ".join(f"'{one[:80]}'" for one in ids[:20])
        of_source = "" if source is None else f" of source '{source[:80]}'"
        super().__init__(
            f"'{use_case}' has no label{of_source} by the id {shown}; allowed: the id of a prediction or of "
            "a record that has one, or what a row without an id is known by ('h:...')"
        )


class StorageError(StoreError):
    """Base of errors about the storage that machines share."""


class StorageRefused(StorageError):
    """The storage cannot be used as it is configured; the message names the variable."""

    def __init__(self, where: str, reason: str) -> None:
        super().__init__(f"RATCHET_STORAGE ({where}) cannot be used: {reason}")


class StorageUnavailable(StorageError):
    """The storage does not answer now."""

    def __init__(self, where: str, reason: str) -> None:
        super().__init__(f"RATCHET_STORAGE ({where}) does not answer: {reason}")


class StorageSilent(StorageUnavailable):
    """The storage takes what it is sent and answers nothing; who asks again at once waits as long again."""


class StorageBehind(StorageError):
    """The storage lacks what a home kept elsewhere before; going on would look as if it were lost."""

    def __init__(self, url: str, before: str, command: str) -> None:
        super().__init__(
            f"this home kept its artifacts in {before}, and {url} has none of them; "
            f"`{command}` copies them there"
        )


class ModelsElsewhere(StorageError):
    """The database knows models, and the storage has no file of any: only another home can read them.

    Args:
        use_cases: those that have models.
    """

    def __init__(self, url: str, use_cases: Sequence[str]) -> None:
        super().__init__(
            f"the database knows models of {', '.join(use_cases)}, and {url} has the files of none: they are "
            "where the home that made them keeps them. Have them in a place that both share (`ratchet "
            "storage copy --to URL` in that home, then RATCHET_STORAGE=URL for both), or name its MLflow in "
            "MLFLOW_TRACKING_URI, or here another database. If they are lost for good: `ratchet up "
            "--models-lost`"
        )


class ObjectMissing(StorageError):
    """No object has this key."""

    def __init__(self, url: str, key: str) -> None:
        self.key = key
        super().__init__(f"{url} has no '{key[:200]}'")


class ObjectExists(StorageError):
    """An object that was not to be replaced."""

    def __init__(self, url: str, key: str) -> None:
        self.key = key
        super().__init__(f"{url} has a '{key[:200]}' already")


class WrongKey(StorageError):
    """A key that names no object, or not the same one everywhere."""

    def __init__(self, key: str) -> None:
        super().__init__(
            f"key '{ascii(key[:200])[1:-1]}'; allowed: names parted by single slashes, none of them . or .."
        )


class DatabaseError(StoreError):
    """Base of errors about the database."""


class DatabaseUnavailable(DatabaseError):
    """No database is known, or it does not answer."""


class PostgresFailed(DatabaseError):
    """The embedded PostgreSQL did not start or stop; the message ends with its log."""


class RunError(StoreError):
    """Base of errors about runs."""


class RunBusy(RunError):
    """Another run of the same use case is queued or running."""

    def __init__(self, use_case: str, running_id: str) -> None:
        self.use_case = use_case
        self.running_id = running_id
        super().__init__(f"use case '{use_case}' is busy with run {running_id}; wait for it or stop it")


class RunNotFound(RunError):
    """No run has this id, or it is not in the state that the step needs."""

    def __init__(self, run_id: str, wanted: str = "known") -> None:
        self.run_id = run_id
        super().__init__(f"no run '{run_id}' that is {wanted}")


class NothingRunning(RunError):
    """A use case without a run that could be stopped."""

    def __init__(self, use_case: str) -> None:
        super().__init__(f"use case '{use_case}' has no run that could be stopped")


class Fenced(RunError):
    """The caller no longer holds the run: it was stopped, marked lost, or taken over."""

    def __init__(self, run_id: str, token: int) -> None:
        self.run_id = run_id
        self.token = token
        super().__init__(
            f"run {run_id} is no longer held with token {token}; nothing more may be written for it"
        )
