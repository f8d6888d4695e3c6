"""The draft as the text of a YAML file, with its whys as comments, and checked by what will read it."""

from __future__ import annotations

import json
import os
import re
import tempfile
import textwrap
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from configs.loading import load_use_case
from configs.schema import UseCase
from configs.security.printable import one_line
from configs.security.umask import user_umask
from features.errors import MissingColumns, RefusedRow
from features.files.labelled_rows import RowReader
from features.files.layout import layout_of
from features.files.sources import open_source
from flows.drafting.draft import Draft
from flows.drafting.errors import CannotDraft
from flows.drafting.names import check_path
from flows.drafting.sample import DEFAULT_MISSING
from flows.drafting.sorting.columns_at_hand import LeftOut

WIDTH = 110
MOST_TOLD = 40
"""Columns left out that have a line each; fields beyond `MOST_COMMENTED` have no comment."""
MOST_COMMENTED = 400
MOST_NAMED = 5
"""Fields that a comment names."""
CHECKED_ROWS, CHECKED_PICTURES = 200_000, 500
"""Rows that are read as the use case will read them, from the beginning of the file; so of picture files."""
MOST_LISTED_VALUES = 40_000
"""Categories of all fields, beyond which the file would be too long."""


@dataclass(frozen=True)
class Checked:
    """How the rows of the file fare with the draft."""

    rows: int
    refused: int
    reasons: tuple[str, ...]
    """The most frequent, each with its rows."""


def mapping(draft: Draft, data_path: str) -> dict[str, Any]:
    """The draft as plain values, as the file holds them."""
    record: dict[str, Any] = {}
    for key, column in (("id_column", draft.id_key), ("time_column", draft.time_key), ("group", draft.group)):
        if column is not None:
            record[key] = column.column
    if draft.time_epoch is not None:
        record["time_epoch"] = draft.time_epoch
    if draft.missing:
        record["missing"] = [*DEFAULT_MISSING, *draft.missing]
    record["fields"] = _fields(draft)
    target: dict[str, Any] = {"task": draft.target.task, "column": draft.target.column}
    if draft.target.is_listed and (draft.target.task != "multilabel" or draft.sample.is_whole):
        target["classes"] = list(draft.target.classes)
    if draft.target.positive is not None:
        target["positive"] = draft.target.positive
    if draft.target.separator is not None:
        target["separator"] = draft.target.separator
    whole: dict[str, Any] = {"name": draft.name, "title": draft.title, "kind": draft.kind}
    whole |= {"record": record, "target": target, "data": {"path": data_path}}
    if draft.files.values:
        whole["files"] = draft.files.values
    if draft.text_rows is not None:
        whole["features"] = {"text": {"min_rows": draft.text_rows}}
    whole |= {"model": draft.model.values, "training": draft.training.values}
    whole["gate"] = {**draft.metric.values, **draft.gate}
    return whole


def _fields(draft: Draft) -> list[dict[str, Any]]:
    fields = [one.config for one in draft.fields]
    if sum(len(one.get("categories", ())) for one in fields) > MOST_LISTED_VALUES:
        return [{key: value for key, value in one.items() if key != "categories"} for one in fields]
    return fields


def document(draft: Draft, data_path: str) -> str:
    """The text of the file."""
    whole, sample = mapping(draft, data_path), draft.sample
    seen = (
        "every row was looked at"
        if sample.is_whole
        else f"{sample.kept:,} of them, drawn from all over it, were looked at"
    )
    lines = [
        *_comment(
            f"Drafted by `ratchet new` from {sample.path.name}: {sample.rows:,} rows, "
            f"{len(sample.columns):,} columns; {seen}."
        ),
        *_comment("Every choice says why; change what you know better. Keys: docs/configuration.md."),
        *_pair("name", whole["name"]),
        *_pair("title", whole["title"]),
        *_pair("kind", whole["kind"], _kind_why(draft)),
        *_record_lines(draft, whole["record"]),
        *_target_lines(draft, whole["target"]),
        f"data: {_flow(whole['data'])}",
    ]
    if "files" in whole:
        lines += _comment(draft.files.why[""])
        lines += [f"files: {_flow(whole['files'])}"]
    if "features" in whole:
        lines += [f"features: {_flow(whole['features'])}  # few rows: words of a single one count too"]
    lines += _comment(draft.model.why[""])
    lines += [f"model: {_flow(whole['model'])}", "training:"]
    for key, value in whole["training"].items():
        lines += _pair(key, value, draft.training.why.get(key, ""), "  ")
    lines += ["gate:"]
    for key, value in whole["gate"].items():
        lines += _pair(key, value, draft.metric.why.get(key, ""), "  ")
    return "\n".join([*lines, *_strictness_lines(whole["record"])]) + "\n"


def _strictness_lines(record: dict[str, Any]) -> list[str]:
    """How a misspelt field is refused, as a comment where one goes unnoticed.

    It is no more than that: clients that send whole rows, with columns that are left out, would be refused.
    """
    nullable = [one["name"] for one in record["fields"] if one.get("nullable")]
    if not nullable:
        return []
    named = ", ".join(nullable[:MOST_NAMED]) + (", ..." if len(nullable) > MOST_NAMED else "")
    return [
        *_comment(
            f"Misspelt in a request, a field that may be missing ({named}) counts as missing. The next line, "
            "as a key, refuses fields that are not listed above, and so rows with columns that are left out."
        ),
        "# serving: {unknown_fields: refuse}",
    ]


def _record_lines(draft: Draft, record: dict[str, Any]) -> list[str]:
    """Keys of a row, its fields, and the columns that are none."""
    lines = ["record:"]
    for key, column in (("id_column", draft.id_key), ("time_column", draft.time_key), ("group", draft.group)):
        if column is not None:
            lines += _pair(key, record[key], column.why, "  ")
    if "time_epoch" in record:
        lines += _pair("time_epoch", record["time_epoch"], "numbers of the time count from 1970", "  ")
    if "missing" in record:
        lines += _comment("no value: " + "; ".join(draft.missing_why), "  ")
        lines += [f"  missing: {_flow(record['missing'])}"]
    lines += ["  fields:"]
    warned = {one.column: one.why for one in draft.suspects if one.verdict == "warn"}
    for config, one in zip(record["fields"], draft.fields, strict=True):
        lines.append(
            f"    - {_flow(config)}"
            + (f"  # {_told(one.why)}" if len(draft.fields) <= MOST_COMMENTED else "")
        )
        if one.column in warned:
            lines += _comment(f"MAY GIVE THE LABEL AWAY: {warned[one.column]}", "    ")
    return lines + _left_out_lines(draft.left_out)


def _target_lines(draft: Draft, values: dict[str, Any]) -> list[str]:
    target, lines = draft.target, ["target:"]
    for key, value in values.items():
        why = {"task": target.why, "positive": target.positive_why}.get(key, "")
        lines += _pair(key, value, why, "  ")
    if target.unlabelled:
        lines += _comment(f"{target.unlabelled:,} rows have no label: they go to quarantine", "  ")
    return lines


def _kind_why(draft: Draft) -> str:
    counts = Counter(one.config["type"] for one in draft.fields)
    return ", ".join(f"{count} {kind}" for kind, count in counts.most_common())


def _left_out_lines(left_out: tuple[LeftOut, ...]) -> list[str]:
    if not left_out:
        return []
    # What is suspected comes first: it is what has to be looked at.
    told = sorted(left_out, key=lambda one: one.reason != "leak")
    lines = _comment("Left out:", "  ")
    for one in told[:MOST_TOLD]:
        lines += _comment(f"{one.column}: {one.why}", "  ", "  ")
    if len(told) > MOST_TOLD:
        lines += _comment(f"and {len(told) - MOST_TOLD} columns more", "  ", "  ")
    return lines


def _pair(key: str, value: Any, why: str = "", indent: str = "") -> list[str]:
    shown = _quoted(value) if key == "classes" else _flow(value)
    line = f"{indent}{key}: {shown}"
    if not why:
        return [line]
    told = _told(why)
    if len(line) + len(told) + 4 <= WIDTH:
        return [f"{line}  # {told}"]
    return [*_comment(why, indent), line]


def _comment(text: str, indent: str = "", hang: str = "") -> list[str]:
    wrapped = textwrap.wrap(
        _told(text), WIDTH - len(indent) - 2 - len(hang), break_long_words=False, break_on_hyphens=False
    )
    return [f"{indent}# {hang}{line}" for line in wrapped]


def _told(text: str) -> str:
    """One line that a comment can hold: no control characters, whatever names hold."""
    line = " ".join(one_line(text).split())
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in line)


def _flow(value: Any) -> str:
    """A value on one line, so written that it is read as itself."""
    text = yaml.safe_dump(
        value, default_flow_style=True, sort_keys=False, allow_unicode=True, width=10**9, default_style=None
    )
    return text.removesuffix("\n").removesuffix("\n...").rstrip("\n")


def _quoted(values: list[str]) -> str:
    """Texts as a list, each in quotes: a number or a `no` among labels is then seen to be text."""
    return f"[{', '.join(json.dumps(value, ensure_ascii=False) for value in values)}]"


def data_path(file: Path, folder: Path) -> str:
    """A path by which the configuration in `folder` finds the file: relative to it.

    Raises:
        CannotDraft: it cannot be written down.
    """
    path = os.path.relpath(file.resolve(), folder.resolve())
    check_path(path)
    return path


def check(text: str, draft: Draft) -> tuple[UseCase, Checked]:
    """Read the text as the file will be read, and the rows as the use case will read them.

    Raises:
        ConfigError: a key or a value is refused, which is a fault of the draft.
        CannotDraft: no row can be read so.
    """
    with tempfile.TemporaryDirectory() as folder:
        trial = Path(folder) / f"{draft.name}.yaml"
        trial.write_text(text, encoding="utf-8")
        use_case = load_use_case(trial)
    return use_case, _check_rows(use_case, draft)


def _check_rows(use_case: UseCase, draft: Draft) -> Checked:
    reader, rows, refused = RowReader(use_case), 0, 0
    most = CHECKED_PICTURES if any(field.resize for field in use_case.record.fields) else CHECKED_ROWS
    reasons: Counter[str] = Counter()
    source = open_source(draft.sample.path, layout_of(use_case))
    try:
        reader.require_columns(source)
        parts = (part for batch in source.batches for part in batch.parts(most) if part.table.num_rows)
        for part in parts:
            read = reader.read(part)
            rows += part.table.num_rows
            refused += part.table.num_rows - len(read.labels)
            reasons.update(_reason(one, use_case.kind) for one in read.refused)
            if rows >= most:
                break
    except MissingColumns as error:
        raise CannotDraft(f"the file cannot be read as it was drafted: {error}") from error
    finally:
        source.close()
    if rows and refused == rows:
        why = reasons.most_common(1)[0][0] if reasons else "of lines that are no rows"
        raise CannotDraft(f"every one of {rows:,} rows would be refused as it was drafted: {why}")
    told = tuple(f"{count:,} rows: {reason}" for reason, count in reasons.most_common(5))
    return Checked(rows, refused, told)


def _reason(row: RefusedRow, kind: str) -> str:
    """The rule that a row breaks, without its own value; of pictures also without its name."""
    first = row.reason.split(";")[0]
    if kind == "image":
        first = re.sub(r"'[^']*' \(text\)", "a picture", first)
    return first if len(first) <= 200 else first[:197] + "..."


def write(text: str, path: Path, *, force: bool) -> None:
    """Put the file in its place at once, never half of it.

    Raises:
        CannotDraft: one is there, and `force` is not given, or it cannot be written.
    """
    if path.exists() and not force:
        raise CannotDraft(f"{path}: is there already; --force replaces it, --out FILE writes another")
    partial = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with user_umask():
        try:
            partial.write_text(text, encoding="utf-8")
            partial.replace(path)
        except OSError as error:
            raise CannotDraft(
                f"{path}: cannot be written ({error.strerror}); --out DIR writes into another folder"
            ) from error
        finally:
            partial.unlink(missing_ok=True)
