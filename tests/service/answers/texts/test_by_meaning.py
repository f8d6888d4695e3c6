"""Texts of every kind asked of a version that a sentence transformer helps: over HTTP, in any company."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from configs.schema import UseCase
from tests.contract.cases import make_case
from tests.contract.texts_by_meaning import BY_MEANING, with_tiny_model
from tests.features.meaning.tiny import HAS_TOKENIZERS, MISSING
from tests.service.answers.test_predict import error, predict
from tests.service.conftest import FolderRegistry, Service, StartService
from tests.service.jobs.test_intake import answer, submit

pytestmark = pytest.mark.skipif(not HAS_TOKENIZERS, reason=MISSING)
MOST = 100_000
TEXTS = {
    "words": "warm soup please",
    "nothing": "",
    "blanks": " \t\r\n\u00a0\u2003\u3000 ",
    "blanks of all the length": " " * MOST,
    "emoji": "👩‍👩‍👧‍👦 🍜🔥 cheap!!! 🇫🇮 👍🏽",
    "right to left": "مرحبا، أريد حساءً ساخنًا \u202eabc\u202c שלום",
    "control characters": "".join(map(chr, range(1, 32))) + "\x7f\x85\u2028\ufeff soup",
    "combining marks": "Z" + "\u0300\u0301" * 80 + " cafe\u0301",
    "no words between": "日本語のスープをください" * 20,
    "beyond two bytes": "𝒲𝒶𝓇𝓂 𝓈𝑜𝓊𝓅 \U0010ffff \ue000",
    "marks of the tokenizer": "[CLS] [SEP] [PAD] [UNK] [MASK] ##a",
    "windows": "warm soup and cold bread, please! " * 40,
    "very long": ("warm soup and cold bread, please! " * 3000)[:MOST],
    "one very long word": "a" * MOST,
}


@pytest.fixture
def by_meaning(
    start_service: StartService, registry: FolderRegistry, tmp_path: Path
) -> Iterator[tuple[Service, UseCase]]:
    """A worker with a version that learned from texts of chance, and takes long ones."""
    field = BY_MEANING.record.fields[0].model_copy(update={"max_length": MOST})
    record = BY_MEANING.record.model_copy(update={"fields": (field,)})
    tiny = with_tiny_model(BY_MEANING.model_copy(update={"record": record}), tmp_path / "model")
    small = make_case(tiny, tmp_path / "case")
    folder = tmp_path / "configs"
    folder.mkdir()
    raw = tiny.model_dump(
        mode="json", include={"name", "title", "kind", "record", "target", "model", "features"}
    )
    (folder / "by_meaning.yaml").write_text(yaml.safe_dump(raw), encoding="utf-8")
    kept = registry.folder / "by_meaning" / "1"
    kept.parent.mkdir(parents=True)
    shutil.copytree(small.artifact, kept)
    registry.production["by_meaning"] = 1
    service = start_service(RATCHET_CONFIGS=str(folder), RATCHET_USE_CASES="by_meaning")
    yield service, tiny


def scores(told: Any) -> list[dict[str, float]]:
    return [one["scores"] for one in told["predictions"]]


def test_texts_are_answered_alike_alone_together_and_later(by_meaning: tuple[Service, UseCase]) -> None:
    service, use_case = by_meaning
    records: list[dict[str, Any]] = [{"text": text} for text in TEXTS.values()] + [{"text": None}]
    together = scores(predict(service, use_case, records))
    assert [scores(predict(service, use_case, [one]))[0] for one in records] == together
    assert scores(predict(service, use_case, records[::-1])) == together[::-1]
    assert scores(answer(service, submit(service, use_case, records)).json()) == together
    by_text = dict(zip([*TEXTS, "none"], together, strict=True))
    nothing = [by_text[name] for name in ("nothing", "blanks", "blanks of all the length", "none")]
    assert nothing == [nothing[0]] * 4
    assert by_text["very long"] != by_text["windows"] != by_text["words"] != nothing[0]


@pytest.mark.parametrize("text", ["\\u0000", "warm\\u0000soup", "\\ud800", "a" * (MOST + 1)])
def test_what_is_no_text_spoils_no_other_request(by_meaning: tuple[Service, UseCase], text: str) -> None:
    service, use_case = by_meaning
    before = scores(predict(service, use_case, [{"text": "warm soup please"}]))
    body = b'{"records": [{"text": "warm soup please"}, {"text": "%b"}]}' % text.encode()
    response = service.post("/v1/by_meaning/predict", body)
    assert response.status_code in (400, 422), response.text
    told = error(response, response.status_code, response.json()["error"]["code"])
    assert len(told["message"]) < 200
    assert scores(predict(service, use_case, [{"text": "warm soup please"}])) == before
