"""Texts of every size and script, over HTTP, for every shipped use case that takes texts."""

from __future__ import annotations

from typing import Any

import orjson
import psycopg
import pytest

from configs.schema import FieldConfig, UseCase
from tests.service.answers.test_predict import error, predict
from tests.service.conftest import USE_CASES, Service, record_of

TEXTS = {name: one for name, one in USE_CASES.items() if "text" in {f.type for f in one.record.fields}}
MAIL = 200_000
STRANGE = {
    "empty": "",
    "blank": " \t\r\n ",
    "emoji": "👩‍👩‍👧‍👦 🍜🔥 cheap!!! 🇫🇮",
    "right to left": "مرحبا، أريد حساءً ساخنًا \u202eabc\u202c שלום",
    "control characters": "".join(map(chr, range(1, 32))) + "\x7f\x85\u2028\ufeff",
    "combining marks": "Z" + "\u0300\u0301" * 80,
    "quotes": '"\\"\\\\ \\N \\t\t',
}


@pytest.fixture(params=sorted(TEXTS))
def text_case(request: pytest.FixtureRequest) -> UseCase:
    """Each shipped use case with a text field."""
    return TEXTS[request.param]


def longest_field(use_case: UseCase) -> FieldConfig:
    """The text field with the most room."""
    return max((f for f in use_case.record.fields if f.type == "text"), key=lambda f: f.max_length)


def with_text(use_case: UseCase, text: str) -> dict[str, Any]:
    return record_of(use_case) | {longest_field(use_case).name: text}


def test_strange_texts_are_answered_and_logged_as_they_came(
    service: Service, text_case: UseCase, conn: psycopg.Connection
) -> None:
    records = [with_text(text_case, text) for text in STRANGE.values()]
    assert len(predict(service, text_case, records)["predictions"]) == len(STRANGE)
    assert service.worker.mover.flush(5)
    name = longest_field(text_case).name
    rows = conn.execute("SELECT record ->> %s::text FROM prediction ORDER BY id", (name,)).fetchall()
    assert [text for (text,) in rows] == list(STRANGE.values())


@pytest.mark.parametrize("text", ["\x00", "\ud800"], ids=["NUL", "half a pair"])
def test_what_is_no_text_is_refused(service: Service, text_case: UseCase, text: str) -> None:
    body = b'{"records": [%b]}' % orjson.dumps(with_text(text_case, "PLACE"))
    escaped = b"\\u%04x" % ord(text)
    response = service.post(f"/v1/{text_case.name}/predict", body.replace(b"PLACE", b"a" + escaped))
    assert response.status_code in (400, 422)
    assert set(response.json()["error"]) == {"code", "message", "details"}


def test_a_mail_is_answered_or_its_field_names_the_limit(service: Service, text_case: UseCase) -> None:
    most = longest_field(text_case).max_length
    record = with_text(text_case, ("Re: " + "offer " * MAIL)[:MAIL])
    if most >= MAIL:
        predict(service, text_case, [record])
    else:
        told = error(service.post(f"/v1/{text_case.name}/predict", {"records": [record]}), 422, "invalid")
        assert f"got {MAIL} characters; allowed: text of at most {most} characters" in told["message"]


def test_a_million_characters_are_refused_with_the_limit(service: Service, text_case: UseCase) -> None:
    field = longest_field(text_case)
    for letter in ("a", "ü"):
        body = {"records": [with_text(text_case, letter * 1_000_000)]}
        told = error(service.post(f"/v1/{text_case.name}/predict", body), 422, "invalid")
        assert told["message"].startswith(
            f"field '{field.name}': got 1000000 characters; allowed: text of at most"
        )
        assert str(field.max_length) in told["message"]
        assert len(told["message"]) < 200


def test_the_longest_text_allowed_fits_into_a_body_in_its_longest_spelling(
    service: Service, text_case: UseCase
) -> None:
    emoji = b"\\ud83d\\ude00" * longest_field(text_case).max_length
    body = b'{"records": [%b]}' % orjson.dumps(with_text(text_case, "PLACE"))
    response = service.post(f"/v1/{text_case.name}/predict", body.replace(b"PLACE", emoji))
    assert response.status_code == 200, response.text


def test_feedback_takes_the_same_texts(service: Service, text_case: UseCase) -> None:
    label = (text_case.target.classes or ("other",))[0]
    items = [{"record": with_text(text_case, text), "label": label} for text in STRANGE.values()]
    told = service.post(f"/v1/{text_case.name}/feedback", {"items": items}).json()
    assert (told["accepted"], told["rejected"]) == (len(STRANGE), [])
