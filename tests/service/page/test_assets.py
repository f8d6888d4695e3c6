"""The files of the page as they are sent, and what the page is told of a use case."""

from __future__ import annotations

import gzip
import re
from typing import Any

import pytest

from configs.schema import FieldConfig, UseCase
from service.page.assets import STATIC, TYPES
from service.page.fields import field_title
from tests.service.conftest import FolderRegistry, Service, StartService, record_of
from tests.service.openapi.test_document import check, operation, response_schema
from tests.service.tiny import classes_of

FILES = sorted(path.relative_to(STATIC).as_posix() for path in STATIC.rglob("*") if path.is_file())
MOST_LINES = 300


def sent(service: Service, path: str, **headers: str) -> Any:
    named = {key.replace("_", "-"): value for key, value in headers.items()}
    return service.run(service.client.get(path, headers=named))


def test_the_page_is_sent_once_and_then_asked_for(service: Service) -> None:
    first = sent(service, "/ui", accept_encoding="identity")
    assert first.status_code == 200
    assert first.headers["content-type"] == "text/html; charset=utf-8"
    assert first.headers["cache-control"] == "no-cache"
    again = sent(service, "/ui", if_none_match=first.headers["etag"])
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["etag"] == first.headers["etag"]
    assert sent(service, "/ui", if_none_match='"other"').status_code == 200
    assert sent(service, "/ui/").content == first.content


def test_it_is_sent_packed_to_those_who_can_unpack(service: Service) -> None:
    plain = sent(service, "/ui/app.js", accept_encoding="identity")
    packed = sent(service, "/ui/app.js", accept_encoding="br, gzip")
    assert "content-encoding" not in plain.headers
    assert packed.headers["content-encoding"] == "gzip"
    assert packed.content == plain.content == (STATIC / "app.js").read_bytes()
    assert int(packed.headers["content-length"]) == len(gzip.compress(plain.content, mtime=0))
    assert plain.headers["vary"] == packed.headers["vary"] == "accept-encoding"


def test_every_file_is_there_and_runs_nothing_of_others(service: Service) -> None:
    for name in FILES:
        answer = sent(service, "/ui" if name == "index.html" else f"/ui/{name}")
        assert answer.status_code == 200
        assert answer.headers["content-type"].encode() == TYPES[f".{name.rpartition('.')[2]}"]
        policy = answer.headers["content-security-policy"]
        assert policy.startswith(("default-src 'none';", "sandbox allow-scripts; default-src 'none';"))
        assert ("unsafe" in policy) == (name == "report.html")
        assert "http" not in policy


def test_what_is_not_there_is_said_in_the_one_shape(service: Service) -> None:
    for path in ("/ui/nothing.js", "/ui/index.html", "/ui/../app.py"):
        assert sent(service, path).json()["error"]["code"] == "not_found"
    assert service.post("/ui", {}).json()["error"]["code"] == "method_not_allowed"


@pytest.mark.parametrize("name", FILES)
def test_a_file_asks_no_other_server_and_is_short(name: str) -> None:
    text = (STATIC / name).read_text(encoding="utf-8")
    assert re.findall(r"""["'(](?:https?:)?//(?!www\.w3\.org/2000/svg)[\w.]+""", text) == []
    assert len(text.splitlines()) < MOST_LINES
    assert not re.search(r"innerHTML|insertAdjacentHTML|\beval\(", text)


def test_every_module_is_loaded_ahead() -> None:
    page = (STATIC / "index.html").read_text(encoding="utf-8")
    ahead = set(re.findall(r'modulepreload" href="/ui/([\w./]+)"', page))
    text = {name: (STATIC / name).read_text(encoding="utf-8") for name in FILES if name.endswith(".js")}
    imported = {
        (STATIC / name).parent.joinpath(path).resolve().relative_to(STATIC.resolve()).as_posix()
        for name, script in text.items()
        for path in re.findall(r'from "(\.[\w./]+)"', script)
    }
    assert ahead == imported
    assert imported | {"app.js", "theme.js"} == set(text)


def test_the_pages_link_to_one_another(service: Service) -> None:
    assert '<a href="/">' in sent(service, "/ui").text
    assert "(/ui)" in sent(service, "/docs.json").json()["info"]["description"]


def test_a_use_case_is_described_field_by_field(service: Service, use_case: UseCase) -> None:
    told = service.get(f"/v1/{use_case.name}/schema").json()
    operated, document = operation(service, f"/v1/{use_case.name}/schema", "get")
    check(told, response_schema(operated), document)
    assert told["example"] == record_of(use_case)
    assert [one["name"] for one in told["fields"]] == [one.name for one in use_case.record.fields]
    assert tuple(told["classes"]) == classes_of(use_case)
    assert told["open_classes"] == (not use_case.target.classes)
    predicted = service.post(f"/v1/{use_case.name}/predict", {"records": [told["example"]]})
    assert predicted.status_code == 200


def test_values_that_production_knows_are_offered(service: Service) -> None:
    told = service.get("/v1/plans/schema").json()
    (open_field,) = [one for one in told["fields"] if one["name"] == "payment_method"]
    assert (open_field["categories"], open_field["known"]) == ([], ["example"])
    (image,) = service.get("/v1/digits/schema").json()["fields"]
    assert (image["shape"], image["range"]) == ([28, 28], [0.0, 255.0])


@pytest.mark.parametrize(
    ("name", "column", "title"),
    [
        ("Stuck", "Stück", "Stück"),
        ("grosse_cm", "größe_cm", "größe cm"),
        ("net_income", "Net income (EUR)", "net income"),
        ("age", None, "age"),
        ("c", "__é", "é"),
        ("_", None, "_"),
    ],
)
def test_a_field_is_called_by_the_letters_of_its_column(name: str, column: str | None, title: str) -> None:
    assert field_title(FieldConfig(name=name, type="number", column=column)) == title


def test_what_is_untrained_is_described_too(start_service: StartService, registry: FolderRegistry) -> None:
    assert registry.production == {}
    told = start_service().get("/v1/intents/schema").json()
    assert (told["classes"], told["open_classes"], told["taxonomy"]) == ([], True, True)
