"""What is doubtful in a draft, as questions with the answer that it has, and the wishes that others make."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from flows.drafting.draft import Draft
from flows.drafting.wishes import Wishes

YES_NO = ("yes", "no")


@dataclass(frozen=True)
class Question:
    """One doubtful choice."""

    text: str
    answers: tuple[str, ...]
    """Those that are allowed; the first is what the draft has."""
    apply: Callable[[Wishes, str], Wishes]
    """The wishes that an answer makes of those before."""


def questions(draft: Draft) -> list[Question]:
    """The doubtful choices, the weightiest first."""
    asked = [_leak(one.column, one.why, kept=one.verdict == "warn") for one in draft.suspects]
    if draft.target.task == "binary" and "rarer" in draft.target.positive_why:
        asked.append(_positive(draft))
    if draft.target.task == "multilabel" and draft.target.separator is not None:
        text = f"{draft.target.why}. Has a row several labels?"
        asked.append(
            Question(
                text, YES_NO, lambda one, said: one if said == "yes" else replace(one, task="multiclass")
            )
        )
    if draft.id_key is not None:
        asked.append(_key("id", draft.id_key.column, draft.id_key.why))
    if draft.time_key is not None:
        asked.append(_key("time", draft.time_key.column, draft.time_key.why))
    if draft.group is not None:
        asked.append(_key("group", draft.group.column, draft.group.why))
    asked += [
        _left_out(one.column, one.why)
        for one in draft.left_out
        if one.reason in ("one_off", "unit", "duplicate")
    ]
    return asked


def _leak(column: str, why: str, *, kept: bool) -> Question:
    def apply(wishes: Wishes, said: str) -> Wishes:
        if (said == "yes") == (not kept):
            return wishes
        if kept:
            return replace(wishes, leave_out=(*wishes.leave_out, column))
        return replace(wishes, keep=(*wishes.keep, column))

    answers = ("no", "yes") if kept else YES_NO
    return Question(f"Column '{column}' may give the label away: {why}. Leave it out?", answers, apply)


def _positive(draft: Draft) -> Question:
    classes = sorted(draft.target.classes, key=lambda label: label != draft.target.positive)
    text = "Which class is asked about (precision, recall and F1 speak of it)?"
    return Question(text, tuple(classes), lambda wishes, said: replace(wishes, positive=said))


def _key(what: str, column: str, why: str) -> Question:
    """Id, time or group; a column that is none of them is a field again."""

    def apply(wishes: Wishes, said: str) -> Wishes:
        return wishes if said == "yes" else replace(wishes, keep=(*wishes.keep, column))

    texts = {"id": "identify a row", "time": "say when a row came to be", "group": "say whose a row is"}
    return Question(f"Does column '{column}' {texts[what]} ({why})?", YES_NO, apply)


def _left_out(column: str, why: str) -> Question:
    def apply(wishes: Wishes, said: str) -> Wishes:
        return wishes if said == "yes" else replace(wishes, keep=(*wishes.keep, column))

    return Question(f"Column '{column}': {why}. Leave it out?", YES_NO, apply)
