"""Tags by which MLflow shows where a version comes from and what the gate said of it."""

from __future__ import annotations

from models.versions.artifact import Manifest

PREFIX = "ratchet."
SNAPSHOT_TAG = f"{PREFIX}snapshot"
"""Digest of the rows it learned from."""
PARENT_TAG = f"{PREFIX}parent"
"""Number of the version that was production when it was trained."""
FIT_TAG = f"{PREFIX}fit"
"""`full` or `warm`."""
CHALLENGER_TAG = f"{PREFIX}challenger"
TRIGGER_TAG = f"{PREFIX}trigger"
RUN_TAG = f"{PREFIX}run"
"""Id of the retrain, as in table `run`."""
REVISION_TAG = f"{PREFIX}revision"
"""Revision of the code."""
COMPUTE_TAG = f"{PREFIX}compute"
"""Where it was made, and by how many processes."""
VERDICT_TAG = f"{PREFIX}verdict"
OUTCOME_TAG = f"{PREFIX}outcome"
REASON_TAG = f"{PREFIX}reason"
RECORD_TAG = f"{PREFIX}record"
"""What challengers of earlier retrains gained over what was production, in a sentence."""
PLAIN_TAG = f"{PREFIX}plain"
"""How it stands beside a plain model that was judged with it, in a sentence."""
VERSION_TAG = f"{PREFIX}version"
"""Of an MLflow run that holds a drift check: the version that it is of."""


def lineage_tags(manifest: Manifest) -> dict[str, str]:
    """The tags of a version that say where it comes from, as its manifest has them."""
    lineage = manifest.lineage
    tags = {
        SNAPSHOT_TAG: lineage.snapshot_digest,
        PARENT_TAG: None if lineage.parent_version is None else str(lineage.parent_version),
        FIT_TAG: manifest.fit,
    }
    return {key: value for key, value in tags.items() if value is not None}
