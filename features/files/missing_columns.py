"""Why a file seems to lack columns: another separator, other capitals, or no header at all."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence

from configs.spelling.near_names import misspelt

SEPARATORS = "^:~|;,\t !#$%&*/<=>?@_`"
"""Those that `files.separator` may name, the likelier ones first."""
NO_HEADER = (
    "the first line looks like a row of the data, not like names of columns; allowed: a header, then rows"
)
_VALUE = re.compile(
    r"\s*([+-]?[\d.,' ]*\d([eE][+-]?\d+)?%?|\d{4}-\d\d-\d\d.*|true|false|column \d+)\s*", re.IGNORECASE
)


def explain_missing(
    missing: Sequence[str],
    present: Sequence[str],
    *,
    has_no_header: bool,
    read: Collection[str] = (),
    values: frozenset[str] = frozenset(),
) -> list[str]:
    """What may be the reason that columns are missing, as sentences for whoever made the file.

    Args:
        missing: names of columns that are needed and not there.
        present: names as the first line has them.
        has_no_header: whether none of them is needed.
        read: names that are read where they are there; what stands under one is not meant for another.
        values: categories and classes of the use case; a name among them is no name of a column.
    """
    strays = [name for name in present if name not in read]
    hints = [
        _in_other_capitals(missing, strays),
        _misspelled(missing, strays, {*missing, *read}),
        _under_another_separator(missing, present),
    ]
    if has_no_header and any(_VALUE.fullmatch(name) is not None or name in values for name in present):
        hints.append(NO_HEADER)
    return [hint for hint in hints if hint is not None]


def _in_other_capitals(missing: Sequence[str], strays: Sequence[str]) -> str | None:
    spelled = {name.casefold(): name for name in strays}
    pairs = [f"'{spelled[name.casefold()]}' for '{name}'" for name in missing if name.casefold() in spelled]
    return f"names differ in capitals, which count: {', '.join(pairs)}" if pairs else None


def _misspelled(missing: Sequence[str], strays: Sequence[str], names: Collection[str]) -> str | None:
    near = misspelt(missing, strays, names)
    pairs = [f"'{one}' for '{name}'" for name, one in near.items() if one.casefold() != name.casefold()]
    return f"names are nearly those that are needed: {', '.join(pairs)}" if pairs else None


def _under_another_separator(missing: Sequence[str], present: Sequence[str]) -> str | None:
    """For a file of one column, the separator that its header holds."""
    if len(present) != 1:
        return None
    needed = {name.casefold() for name in missing}
    names = {one: {part.strip().casefold() for part in present[0].split(one)} for one in SEPARATORS}
    best = max(SEPARATORS, key=lambda one: len(names[one] & needed))
    if not names[best] & needed:
        best = next((one for one in "^:" if one in present[0]), "")
    if best not in present[0] or not best:
        return None
    return (
        f"if '{best}' separates the columns, `files: {{separator: \"{best}\"}}` in the use case reads it so"
    )
