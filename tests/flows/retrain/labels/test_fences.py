"""What a retrain learned to be plausible is what the next rows are held against."""

from __future__ import annotations

from pathlib import Path

from models.versions.artifact import read_encoder, read_manifest
from models.versions.fit_checks import count_beyond as count_in_notes
from store.feedback.fence_counts import count_beyond
from store.feedback.fences import production_fences
from store.ingest.files import ingest_file
from tests.flows.retrain.turns import Orchard


def test_production_has_the_fences_of_its_encoder(empty_orchard: Orchard, tmp_path: Path) -> None:
    orchard = empty_orchard
    orchard.take_in(400, edge=0.5)
    absurd = tmp_path / "absurd.csv"
    absurd.write_text("weight,colour,grade\n" + "1e9,red,good\n" * 3, "utf-8")
    with orchard.context.connect() as conn:
        ingest_file(conn, orchard.context.use_case, absurd)
    assert orchard.retrain().version == 1
    artifact = orchard.registry.download(orchard.name, 1, tmp_path / "cache", None)
    with orchard.context.connect() as conn:
        bounds = production_fences(conn, orchard.context.use_case).bounds
        counts = count_beyond(conn, orchard.context.use_case)
    assert set(bounds) == {"weight"}
    assert bounds == read_encoder(artifact, "tabular").fences
    notes = read_manifest(artifact).notes
    assert counts is not None
    assert (counts.kept, counts.looked_at) == (3, 403)
    assert {"left_out": counts.left_out, "cut": counts.cut} == count_in_notes(notes)
    assert counts.left_out
