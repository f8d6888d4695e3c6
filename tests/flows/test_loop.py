"""Steps as tasks of a flow run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from prefect.states import Failed
from prefect.utilities.annotations import quote

from flows import loop
from store.errors import StorageSilent, StorageUnavailable


def test_prefect_does_not_look_through_what_steps_are_given(monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[Any] = []

    def task(**options: Any) -> Callable[..., Callable[..., str]]:
        def made(function: Callable[..., str]) -> Callable[..., str]:
            def run(*args: Any, **kwargs: Any) -> str:
                given.extend([*args, *kwargs.values()])
                return function(
                    *(one.unquote() for one in args), **{k: v.unquote() for k, v in kwargs.items()}
                )

            return run

        given.append(options["name"])
        return made

    def read_rows(context: object, *, held: object) -> str:
        return f"{context} {held}"

    monkeypatch.setattr(loop, "task", task)
    assert loop._outside(read_rows)("a context", held="a run") == "a context a run"
    assert given == ["read-rows", quote("a context"), quote("a run")]


@pytest.mark.parametrize(
    ("error", "again"),
    [(StorageUnavailable("there", "it fails"), True), (StorageSilent("there", "it waits"), False)],
)
def test_a_step_is_not_tried_again_where_it_has_waited_for_a_storage(error: Exception, again: bool) -> None:
    run: Any = None
    assert loop._worth_retrying(run, run, Failed(data=error)) is again
