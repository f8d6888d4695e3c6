"""What is tried on a share of the requests: whose it answers, and who does where it cannot."""

from __future__ import annotations

import shutil
import threading
from collections import Counter
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

import service.answers.canary
from configs.schema import CanaryConfig
from models.canary.moves import begin_canary, end_canary, promote_canary
from models.errors import AlreadyProduction, CanaryUnderWay, UnknownVersion
from models.production import ledger
from service.watchdog import hang_watch
from tests.service.conftest import USE_CASES, FolderRegistry, Service, StartService, record_of
from tests.service.jobs.test_intake import answer as answered
from tests.service.jobs.test_intake import submit
from tests.service.swap.test_watcher import promote, wait_for

SERVED = ("digits", "plans")

DIGITS, PLANS = USE_CASES["digits"], USE_CASES["plans"]
HALF = CanaryConfig(share=0.5)


def begin(
    conn: psycopg.Connection[Any], registry: FolderRegistry, name: str, config: CanaryConfig = HALF
) -> None:
    registry.add(USE_CASES[name], 2)
    begin_canary(
        conn, registry, name,
        version=2, against=1, config=config, actor="test", reason="better", evidence={},
    )  # fmt: skip


@pytest.fixture
def tried(service: Service, registry: FolderRegistry, conn: psycopg.Connection[Any]) -> Iterator[Service]:
    """Version 2 of digits answers half of the keys."""
    promote(conn, registry, 1)
    service.worker.watcher._poll_seconds = 3600.0  # only the notice can tell
    begin(conn, registry, "digits")
    slot = service.worker.slots["digits"]
    wait_for(lambda: slot.canary is not None)
    yield service


def answer(service: Service, ids: list[str], name: str = "digits", **more: Any) -> dict[str, Any]:
    record = record_of(USE_CASES[name])
    response = service.post(f"/v1/{name}/predict", {"records": [record | more | {"id": one} for one in ids]})
    assert response.status_code == 200, response.text
    content: dict[str, Any] = response.json()
    return content


def versions(content: dict[str, Any]) -> dict[str, int]:
    """Id of each record to the version that answered it."""
    served = content["model"]["version"]
    return {one["record_id"]: one.get("version", served) for one in content["predictions"]}


def test_the_same_key_is_always_answered_by_the_same_version(tried: Service) -> None:
    ids = [f"ann{number}" for number in range(200)]
    alone = {one: answer(tried, [one])["model"]["version"] for one in ids}
    assert 60 < Counter(alone.values())[2] < 140
    together = answer(tried, ids)
    assert together["model"] == {"name": "digits", "version": 1, "source": "model"}
    assert [one["record_id"] for one in together["predictions"]] == ids
    assert versions(together) == alone
    assert versions(answer(tried, ids[::-1])) == alone


def test_both_versions_answers_are_in_the_log_under_their_version(
    tried: Service, conn: psycopg.Connection[Any]
) -> None:
    told = {
        one["id"]: one.get("version", 1) for one in answer(tried, [str(n) for n in range(60)])["predictions"]
    }
    tried.worker.flush_journals()
    logged = dict(
        conn.execute("SELECT id, model_version FROM prediction WHERE use_case = 'digits'").fetchall()
    )
    assert logged == told
    assert set(told.values()) == {1, 2}


def test_each_record_is_answered_as_its_version_would_alone(tried: Service) -> None:
    content = answer(tried, ["a", "b", "c", "d", "e", "f"])
    slot = tried.worker.slots["digits"]
    assert slot.current is not None and slot.canary is not None
    for one in content["predictions"]:
        pipeline = (slot.canary if one.get("version") == 2 else slot.current).pipeline
        request = pipeline.reader.check([record_of(DIGITS)])
        expected = tried.run(_submit(pipeline, request))
        assert one["scores"] == expected


async def _submit(pipeline: Any, request: Any) -> Any:
    import orjson

    return orjson.loads((await pipeline.submit_alone(request)).body)["predictions"][0]["scores"]


def test_labels_sent_along_belong_to_both_versions_answers(
    tried: Service, conn: psycopg.Connection[Any]
) -> None:
    records = [record_of(DIGITS) | {"id": str(number)} for number in range(40)]
    response = tried.post("/v1/digits/predict", {"records": records, "labels": ["3"] * 40})
    assert response.status_code == 200
    ids = [one["id"] for one in response.json()["predictions"]]
    stored = conn.execute("SELECT DISTINCT label FROM feedback WHERE use_case = 'digits'").fetchall()
    assert stored == [("3",)]
    assert len(set(ids)) == 40


def test_a_field_may_say_who_answers_and_other_doors_agree(
    service: Service, registry: FolderRegistry, conn: psycopg.Connection[Any]
) -> None:
    promote(conn, registry, 1, "plans")
    field = next(one for one in PLANS.record.fields if one.type == "number")
    begin(conn, registry, "plans", CanaryConfig(share=0.5, key=field.name))
    wait_for(lambda: service.worker.slots["plans"].canary is not None)
    values = [int(field.minimum or 0) + number for number in range(20)]
    seen = {}
    for value in values:
        content = answer(
            service, [f"{value}-{number}" for number in range(3)], "plans", **{field.name: value}
        )
        assert len(set(versions(content).values())) == 1, "whatever the ids are"
        seen[value] = next(iter(versions(content).values()))
    assert set(seen.values()) == {1, 2}
    record = record_of(PLANS)
    rows = [record | {field.name: float(value)} for value in seen]
    names = list(record)
    frame = {"dataframe_split": {"columns": names, "data": [[row[name] for name in names] for row in rows]}}
    scored = service.post("/v1/plans/invocations", frame).json()
    assert scored["versions"] == list(seen.values()), "a frame says which version answered each row"


def test_who_asks_for_a_version_by_its_number_gets_it(tried: Service) -> None:
    for version in (1, 2):
        for _ in range(10):
            inputs = tried.get(f"/v2/models/digits/versions/{version}/ready")
            assert inputs.status_code == (200 if version in (1, 2) else 404)
    assert tried.get("/v2/models/digits/versions/3/ready").status_code == 404


def test_where_it_breaks_production_answers_and_it_is_given_up(
    tried: Service, conn: psycopg.Connection[Any]
) -> None:
    slot = tried.worker.slots["digits"]
    assert slot.canary is not None

    def breaks(_x: Any) -> Any:
        raise RuntimeError("no such weights")

    slot.canary.predictor._runner = breaks
    for number in range(60):
        content = answer(tried, [f"broken{number}"])
        assert content["model"]["version"] == 1
    wait_for(lambda: slot.canary is None)
    refused = ledger.newest(conn, "digits", ("refused",))
    assert refused is not None
    assert "it failed on" in refused.reason
    tried.worker.watcher._look_at_ledger()
    assert slot.canary is None, "nobody tries it again here"
    end_canary(conn, tried.registry, "digits", actor="test", reason="broken")
    wait_for(lambda: not slot.refused)


def test_where_it_hangs_production_answers_soon_and_then_at_once(
    tried: Service, monkeypatch: pytest.MonkeyPatch, conn: psycopg.Connection[Any]
) -> None:
    monkeypatch.setattr(hang_watch, "ANSWER_SECONDS", 1.0)
    monkeypatch.setattr(hang_watch, "CHECK_SECONDS", 0.1)
    monkeypatch.setattr(service.answers.canary, "PATIENCE_SECONDS", 0.3)
    slot, release = tried.worker.slots["digits"], threading.Event()
    assert slot.canary is not None

    def hangs(_x: Any) -> Any:
        release.wait(30)
        raise RuntimeError("released")

    slot.canary.predictor._runner = hangs
    try:
        for number in range(40):
            assert answer(tried, [f"hung{number}"])["model"]["version"] == 1
        waited = 'ratchet_canary_records_total{answered_by="in_its_place",use_case="digits"} 1.0'
        assert waited in tried.metrics(), "nobody but the first waits"
        wait_for(lambda: slot.canary is None)
        wait_for(lambda: ledger.newest(conn, "digits", ("refused",)) is not None)
        assert answer(tried, ["after"])["model"]["version"] == 1
    finally:
        release.set()


def test_what_is_promoted_answers_all_and_what_is_ended_nobody(
    tried: Service, registry: FolderRegistry, conn: psycopg.Connection[Any]
) -> None:
    assert registry.aliases("digits")["canary"] == 2
    assert tried.get("/health").json()["use_cases"]["digits"]["canary"] == 2
    end_canary(conn, registry, "digits", actor="ann", reason="not now")
    wait_for(lambda: tried.worker.slots["digits"].canary is None)
    assert "canary" not in registry.aliases("digits")
    assert set(versions(answer(tried, [str(n) for n in range(30)])).values()) == {1}
    begin_canary(
        conn, registry, "digits",
        version=2, against=1, config=HALF, actor="ann", reason="again", evidence={},
    )  # fmt: skip
    wait_for(lambda: tried.worker.slots["digits"].canary is not None)
    promote_canary(conn, registry, "digits", actor="ann", reason="enough seen")
    slot = tried.worker.slots["digits"]
    wait_for(lambda: slot.current is not None and slot.current.version == 2)
    assert slot.canary is None
    assert set(versions(answer(tried, [str(n) for n in range(30)])).values()) == {2}
    assert registry.aliases("digits") == {"production": 2, "previous": 1, "original": 2}


def test_production_is_not_tried_beside_itself(
    service: Service, registry: FolderRegistry, conn: psycopg.Connection[Any]
) -> None:
    promote(conn, registry, 1)
    with pytest.raises(AlreadyProduction):
        begin_canary(
            conn, registry, "digits",
            version=1, against=None, config=HALF, actor="ann", reason="a slip", evidence={},
        )  # fmt: skip
    assert "canary" not in registry.aliases("digits")
    assert service.worker.slots["digits"].canary is None


def test_what_is_tried_in_another_way_is_tried_so_everywhere(
    tried: Service,
    registry: FolderRegistry,
    conn: psycopg.Connection[Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Also by a worker that has missed the end of it."""
    monkeypatch.setattr(tried.worker.watcher, "_hear", lambda _: None)
    end_canary(conn, registry, "digits", actor="ann", reason="fewer")
    begin_canary(
        conn, registry, "digits",
        version=2, against=1, config=CanaryConfig(share=0.01), actor="ann", reason="fewer", evidence={},
    )  # fmt: skip
    tried.worker.watcher._look_at_ledger()
    seen = Counter(versions(answer(tried, [str(number) for number in range(200)])).values())
    assert seen[1] > 180


def test_what_is_tried_again_by_a_key_that_its_records_lack_is_refused_everywhere(
    tried: Service,
    registry: FolderRegistry,
    conn: psycopg.Connection[Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Also by a worker that has missed the end of it, and has the version loaded."""
    monkeypatch.setattr(tried.worker.watcher, "_hear", lambda _: None)
    end_canary(conn, registry, "digits", actor="ann", reason="by shop")
    begin_canary(
        conn, registry, "digits",
        version=2, against=1, config=CanaryConfig(share=0.5, key="shop"), actor="ann", reason="", evidence={},
    )  # fmt: skip
    tried.worker.watcher._look_at_ledger()
    refused = ledger.newest(conn, "digits", ("refused",))
    assert refused is not None
    assert "key: got 'shop'" in refused.reason
    assert set(versions(answer(tried, [str(n) for n in range(30)])).values()) == {1}


@pytest.mark.usefixtures("tried")
def test_one_that_is_tried_already_is_not_tried_in_another_way_without_a_word(
    registry: FolderRegistry, conn: psycopg.Connection[Any]
) -> None:
    def again(config: CanaryConfig) -> None:
        begin_canary(
            conn, registry, "digits",
            version=2, against=1, config=config, actor="ann", reason="fewer", evidence={},
        )  # fmt: skip

    again(HALF)
    with pytest.raises(CanaryUnderWay, match="`ratchet canary end digits` ends that"):
        again(CanaryConfig(share=0.1))


def test_a_key_that_its_records_do_not_have_costs_nobody_an_answer(
    service: Service, registry: FolderRegistry, conn: psycopg.Connection[Any]
) -> None:
    promote(conn, registry, 1)
    begin(conn, registry, "digits", CanaryConfig(share=0.5, key="shop"))
    wait_for(lambda: ledger.newest(conn, "digits", ("refused",)) is not None)
    refused = ledger.newest(conn, "digits", ("refused",))
    assert refused is not None
    assert "key: got 'shop'; fields of its records: " in refused.reason
    assert service.worker.slots["digits"].canary is None
    assert set(versions(answer(service, [str(n) for n in range(30)])).values()) == {1}


def test_where_nobody_can_tell_whose_records_it_answers_production_does(
    tried: Service, conn: psycopg.Connection[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: Any) -> list[str]:
        raise KeyError("no such field")

    monkeypatch.setattr(service.answers.canary, "keys_of", fails)
    assert set(versions(answer(tried, [str(n) for n in range(30)])).values()) == {1}
    path = submit(tried, DIGITS, [record_of(DIGITS) | {"id": str(n)} for n in range(30)])
    assert set(versions(answered(tried, path).json()).values()) == {1}
    tried.worker.watcher._look_at_ledger()
    assert tried.worker.slots["digits"].canary is None
    refused = ledger.newest(conn, "digits", ("refused",))
    assert refused is not None
    assert "no such field" in refused.reason


def test_it_goes_on_where_nobody_could_tell_for_want_of_memory(
    tried: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: Any) -> list[str]:
        raise MemoryError

    ids = [str(n) for n in range(30)]
    with monkeypatch.context() as patch:
        patch.setattr(service.answers.canary, "keys_of", fails)
        assert set(versions(answer(tried, ids)).values()) == {1}
    tried.worker.watcher._look_at_ledger()
    assert set(versions(answer(tried, ids)).values()) == {1, 2}


@pytest.mark.usefixtures("tried")
def test_one_that_was_deleted_is_not_promoted_by_half(
    registry: FolderRegistry, conn: psycopg.Connection[Any]
) -> None:
    named = registry.aliases("digits")
    shutil.rmtree(registry.folder / "digits" / "2")
    with pytest.raises(UnknownVersion):
        promote_canary(conn, registry, "digits", actor="ann", reason="enough seen")
    newest = ledger.newest(conn, "digits", ("intent", "canary"))
    assert newest is not None
    assert newest.event == "canary"
    assert registry.aliases("digits").get("previous") == named.get("previous")


def test_a_rollback_beside_the_first_version_ends_what_is_tried(
    tried: Service, registry: FolderRegistry
) -> None:
    response = tried.post("/v1/digits/rollback", {"reason": "it is bad"})
    assert response.status_code == 200, response.text
    assert (response.json()["from"], response.json()["to"]) == (2, 1)
    wait_for(lambda: tried.worker.slots["digits"].canary is None)
    assert "canary" not in registry.aliases("digits")
    assert tried.post("/v1/digits/rollback", {}).status_code == 409


def test_a_rollback_ends_what_is_tried(
    tried: Service, registry: FolderRegistry, conn: psycopg.Connection[Any]
) -> None:
    registry.add(DIGITS, 3)
    promote(conn, registry, 3)
    slot = tried.worker.slots["digits"]
    wait_for(lambda: slot.current is not None and slot.current.version == 3)
    assert slot.canary is None
    assert set(versions(answer(tried, [str(n) for n in range(30)])).values()) == {3}


def test_a_worker_that_starts_later_tries_it_too(tried: Service, start_service: StartService) -> None:
    other = start_service()
    assert other.worker.slots["digits"].canary is not None, "before it answers anybody"
    ids = [str(number) for number in range(50)]
    assert versions(answer(other, ids)) == versions(answer(tried, ids))


def test_one_that_cannot_be_loaded_is_told_and_not_tried(
    service: Service, registry: FolderRegistry, conn: psycopg.Connection[Any]
) -> None:
    promote(conn, registry, 1)
    (registry.add(DIGITS, 2) / "model.onnx").write_bytes(b"nothing")
    begin_canary(
        conn, registry, "digits",
        version=2, against=1, config=HALF, actor="test", reason="better", evidence={},
    )  # fmt: skip
    wait_for(lambda: ledger.newest(conn, "digits", ("refused",)) is not None)
    assert service.worker.slots["digits"].canary is None
    assert set(versions(answer(service, [str(n) for n in range(30)])).values()) == {1}


def test_jobs_are_answered_by_the_version_of_their_key(
    service: Service, registry: FolderRegistry, conn: psycopg.Connection[Any]
) -> None:
    promote(conn, registry, 1)
    begin(conn, registry, "digits")
    wait_for(lambda: service.worker.slots["digits"].canary is not None)
    ids = [str(number) for number in range(30)]
    expected = versions(answer(service, ids))
    path = submit(service, DIGITS, [record_of(DIGITS) | {"id": one} for one in ids])
    assert versions(answered(service, path).json()) == expected
