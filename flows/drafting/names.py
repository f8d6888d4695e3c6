"""What names of columns tell, and names that fields may have."""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Iterable

from flows.drafting.errors import CannotDraft

LONGEST = 63
RESERVED = frozenset({"id", "label", "prediction_id"})
"""Keys of a record beside its fields."""
_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
_ID = frozenset({"id", "ids", "uuid", "guid", "key", "ssn", "sku", "isbn", "hash", "ref", "pk", "identifier"})
_NUMBER = frozenset({"no", "nr", "num", "number", "code"})
_ROW = frozenset(
    {"row", "rows", "rownames", "rowid", "index", "idx", "unnamed", "obs", "case", "record", "seq", "x"}
)
_WHO = frozenset(
    {"customer", "user", "patient", "subject", "account", "session", "household", "person", "client",
     "device", "participant",
     "student", "member", "owner", "author", "employee", "respondent", "individual", "family",
     "child", "visitor", "caller", "sender", "driver", "player", "cust", "subj", "pid", "uid"}
)  # fmt: skip
_WHEN = frozenset(
    {"time", "date", "datetime", "timestamp", "ts", "when", "at", "on", "day", "created", "updated",
     "received", "sent", "logged", "recorded", "epoch"}
)  # fmt: skip
_OF_SOMETHING = frozenset(
    {"birth", "birthday", "dob", "born", "due", "expiry", "expires", "expiration", "start", "end", "hire",
     "hired", "joined",
     "signup", "registered", "last", "first", "next", "previous", "renewal", "death", "churn",
     "churned", "closed", "cancelled", "canceled", "resolved"}
)  # fmt: skip
"""Of a time that tells something of the record, and does not order rows."""


def check_path(path: str) -> None:
    """Refuse what cannot be written down: names in another encoding, as programs on other systems pack them.

    Raises:
        CannotDraft: it is no text.
    """
    try:
        path.encode()
    except UnicodeEncodeError as error:
        shown = os.fsencode(path).decode(errors="backslashreplace")
        raise CannotDraft(f"{shown}: the name is no text in UTF-8; allowed: another name") from error


def check_name(name: str) -> None:
    """Refuse what is no name of a use case.

    Raises:
        CannotDraft: it is none.
    """
    if re.fullmatch(r"[a-z][a-z0-9_]{0,62}", name) is None:
        raise CannotDraft(
            f"NAME: got '{name[:80]}'; allowed: a small letter, then up to 62 of small letters, digits and _"
        )


def words(name: str) -> list[str]:
    """The words of a name, in lower case.

    >>> words("customerID"), words("Unnamed: 0"), words("event_time")
    (['customer', 'id'], ['unnamed', '0'], ['event', 'time'])
    """
    return [word.lower() for word in _WORDS.findall(_plain(name))]


def is_of_rows(name: str) -> bool:
    """Whether a name is one of row numbers; so is the name that a column without one gets."""
    parts = words(name)
    return not parts or parts[0] in _ROW or (parts[0] == "column" and len(parts) == 2 and parts[1].isdigit())


def is_of_ids(name: str) -> bool:
    """Whether a name ends as those of ids do."""
    parts = words(name)
    return bool(parts) and (parts[-1] in _ID or parts[0] in ("id", "uuid", "guid"))


def may_be_of_ids(name: str) -> bool:
    """The same, with numbers and codes."""
    parts = words(name)
    return is_of_ids(name) or (bool(parts) and parts[-1] in _NUMBER)


def is_of_somebody(name: str) -> bool:
    """Whether a name says that the column tells whose a row is, such as `customer_id`."""
    parts = words(name)
    rest = set(parts) - _ID - _NUMBER - {"name"}
    return bool(parts) and bool(set(parts) & _WHO) and len(rest) <= 1


def is_of_time(name: str) -> bool:
    """Whether a name is one of times."""
    return bool(set(words(name)) & (_WHEN | _OF_SOMETHING))


def is_of_event_time(name: str) -> bool:
    """Whether a name is one of the time at which a row came to be, not of another event."""
    parts = set(words(name))
    return bool(parts & _WHEN) and not parts & _OF_SOMETHING


def tells_target(name: str, target: str) -> bool:
    """Whether a name holds all words of the target's, such as `target_encoded`, or says that it is one."""
    parts, wanted = words(name), words(target)
    if not wanted:
        return False
    if len("".join(wanted)) >= 3 and set(wanted) <= set(parts):
        return True
    return bool(set(parts) & {"label", "target", "prediction", "predicted", "pred", "outcome", "groundtruth"})


def field_names(columns: Iterable[str]) -> dict[str, str]:
    """A name for the field of each column: the column's own where it may be one.

    >>> field_names(["age", "Net income (EUR)", "id", "größe", "2nd"])
    {'age': 'age', 'Net income (EUR)': 'Net_income_EUR', 'id': 'id_', 'größe': 'grosse', '2nd': 'c_2nd'}
    """
    columns = list(columns)
    taken = {name for name in columns if _as_name(name) == name}
    names: dict[str, str] = {}
    for column in columns:
        name = _as_name(column)
        if name != column:
            name = _free(name, taken)
            taken.add(name)
        names[column] = name
    return names


def _as_name(column: str) -> str:
    name = re.sub(r"[^A-Za-z0-9_]+", "_", _plain(column))
    if name != column:
        name = name.strip("_")
    name = name or "column"
    if not (name[0].isalpha() or name[0] == "_"):
        name = f"c_{name}"
    name = name[:LONGEST]
    return f"{name}_" if name in RESERVED else name


def _free(name: str, taken: set[str]) -> str:
    number, free = 2, name
    while free in taken:
        end = f"_{number}"
        free, number = name[: LONGEST - len(end)] + end, number + 1
    return free


def _plain(text: str) -> str:
    """Letters of the alphabet without their marks."""
    text = text.replace("ß", "ss")
    return unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
