"""The laws of encoders: each takes a subject, says what it saw, and raises where it is broken."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from textwrap import shorten
from typing import Any

import numpy as np
from numpy.typing import NDArray

from features.encoders.contract import row_count
from features.encoders.own import KINDS, LEARNED_AS, Refusing
from features.records.contract import concat, take
from models.laws.encoder_subject import EncoderSubject, without_refused
from models.laws.files import is_pickle, strays
from models.laws.laws import MOST_LETTERS, LawBroken, NotForThis, ensure

SAME = 1e-6
"""Differences between two ways to the same numbers that are rounding, as a share of the largest."""
SOME = 15
DIMENSIONS = {"numbers": 1, "terms": 2, "pictures": 3}
EncoderLaw = Callable[[EncoderSubject], str]


def says_what_it_encodes(subject: EncoderSubject) -> str:
    """Its class attributes name kinds that there are, this one among them, and what it makes of records."""
    unknown = [kind for kind in subject.kinds if kind not in KINDS]
    ensure(not unknown, f"kinds names {unknown[:1]}; allowed: {', '.join(KINDS)}")
    ensure(subject.kind in subject.kinds, f"it says that it does not encode kind {subject.kind}")
    ensure(subject.rows in LEARNED_AS, f"rows is {subject.rows!r}; allowed: {', '.join(LEARNED_AS)}")
    return f"kinds {', '.join(subject.kinds)}; rows of {subject.rows}"


def refuses_unknown_parameters(subject: EncoderSubject) -> str:
    """A parameter that it does not have is refused when it is made, and the message names it."""
    try:
        subject.encoder_class({**subject.params, "no_such_parameter": 1})
    except Exception as error:  # noqa: BLE001
        ensure("no_such_parameter" in str(error), f"the message does not name it: {error!s:.100}")
        return f"{type(error).__name__}: {shorten(str(error), MOST_LETTERS, placeholder=' ...')}"
    raise LawBroken("no_such_parameter was taken without a word: a misspelt one would be too")


def gives_rows_of_one_shape(subject: EncoderSubject) -> str:
    """Rows are finite 32-bit floats, all of one shape: (features), (2, room) or (height, width, channels)."""
    encoded = subject.encoded
    _check_rows(encoded, row_count(subject.held_out))
    shape, asked = encoded.shape[1:], DIMENSIONS[subject.rows]
    ensure(len(shape) == asked, f"rows of {subject.rows} have {asked} dimensions; they have shape {shape}")
    if subject.rows == "terms":
        ensure(shape[0] == 2, f"shape {shape}; asked: places and weights, (2, room)")
        ensure(bool((encoded[:, 0] == np.round(encoded[:, 0])).all()), "places are no whole numbers")
    if subject.rows == "pictures":
        low, high = float(encoded.min()), float(encoded.max())
        ensure(low >= 0 and high <= 1, f"between {low:.3g} and {high:.3g}; asked: 0 to 1")
    names = getattr(subject.fitted, "feature_names", None)
    if names is not None and subject.rows == "numbers":
        ensure(len(names) == shape[0], f"{len(names)} feature_names for {shape[0]} numbers")
    return f"shape {shape}, between {encoded.min():.3g} and {encoded.max():.3g}"


def tells_records_apart(subject: EncoderSubject) -> str:
    """Records that differ do not all get the same numbers."""
    different = len(np.unique(subject.encoded.reshape(len(subject.encoded), -1), axis=0))
    ensure(different > 1, f"all {len(subject.encoded)} records got the same numbers")
    return f"{different} different rows of {len(subject.encoded)}"


def no_rows_get_no_rows(subject: EncoderSubject) -> str:
    """Of no records there are no rows, of the same shape, and no error."""
    encoded = subject.fitted.encode(take(subject.held_out, slice(0, 0)))
    _check_rows(encoded, 0)
    ensure(encoded.shape[1:] == subject.encoded.shape[1:], f"shape {encoded.shape}")
    return f"shape {encoded.shape}"


def the_same_rows_make_the_same_encoder(subject: EncoderSubject) -> str:
    """The records of training and the parameters decide: a version can be made again."""
    return _compare(subject.fit().encode(subject.held_out), subject.encoded)


def what_was_encoded_before_changes_nothing(subject: EncoderSubject) -> str:
    """It learns in the fit only: the same records get the same numbers, whatever came between."""
    first = subject.fitted.encode(subject.held_out)
    subject.fitted.encode(subject.training)
    subject.fitted.encode(without_refused(subject.fitted, subject.odd))
    return _compare(subject.fitted.encode(subject.held_out), first)


def order_changes_nothing(subject: EncoderSubject) -> str:
    """The numbers of a record do not depend on where it stands."""
    backwards = take(subject.held_out, slice(None, None, -1))
    return _compare(subject.fitted.encode(backwards)[::-1], subject.encoded)


def batch_size_changes_nothing(subject: EncoderSubject) -> str:
    """The numbers of a record do not depend on which stand beside it: alone, or among many, odd ones too."""
    some = range(min(SOME, row_count(subject.held_out)))
    alone = [subject.fitted.encode(take(subject.held_out, slice(row, row + 1))) for row in some]
    _compare(np.concatenate(alone), subject.encoded[: len(some)])
    beside = concat([subject.held_out, without_refused(subject.fitted, subject.odd)])
    return _compare(subject.fitted.encode(beside)[: len(subject.encoded)], subject.encoded)


def threads_change_nothing(subject: EncoderSubject) -> str:
    """Several threads may ask at once."""
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: subject.fitted.encode(subject.held_out), range(8)))
    return _compare(np.concatenate(found), np.concatenate([subject.encoded] * 8))


def leaves_records_as_they_are(subject: EncoderSubject) -> str:
    """Columns that may not be written to are learned and encoded, and are the same afterwards."""
    columns = {name: column.copy() for name, column in subject.training.items()}
    for column in columns.values():
        column.setflags(write=False)
    subject.fit(columns).encode(columns)
    ensure(list(columns) == list(subject.training), "it changed which columns there are")
    for name, column in columns.items():
        np.testing.assert_array_equal(column, subject.training[name])
    return "read-only columns learned and encoded"


def save_and_load_agree(subject: EncoderSubject) -> str:
    """What is loaded gives what was saved gave, with nothing but its folder and its parameters."""
    folder = subject.subfolder("saved")
    subject.fitted.save(folder)
    loaded = subject.encoder_class.load(folder, subject.params)
    return _compare(loaded.encode(subject.held_out), subject.encoded)


def keeps_no_pickle(subject: EncoderSubject) -> str:
    """Servers load no file that runs code: no pickle, nor one inside an archive."""
    folder = subject.subfolder("files")
    subject.fitted.save(folder)
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    for path in files:
        ensure(not is_pickle(path), f"{path.name} is a pickle")
    return ", ".join(path.name for path in files) or "it keeps nothing"


def stays_in_its_folder(subject: EncoderSubject) -> str:
    """It writes into the folder that it is given and nowhere else, and reads no pickle when it is loaded."""
    own = subject.encoder_class
    problem = strays(
        subject.fitted.save, lambda folder: own.load(folder, subject.params), subject.subfolder("folder")
    )
    ensure(problem is None, str(problem))
    return "nothing beside it"


def answers_what_is_missing_or_unknown(subject: EncoderSubject) -> str:
    """Missing values, values never seen, and the ends of what is allowed get numbers, and no error."""
    columns = without_refused(subject.fitted, subject.odd)
    encoded = subject.fitted.encode(columns)
    _check_rows(encoded, row_count(columns))
    ensure(encoded.shape[1:] == subject.encoded.shape[1:], f"shape {encoded.shape}")
    return f"{row_count(columns)} odd records encoded"


def refuses_records_by_name(subject: EncoderSubject) -> str:
    """Each record that it refuses is named, with field and reason; alone as among others, before the fit
    too."""
    if not isinstance(subject.fitted, Refusing):
        raise NotForThis("it has no problems(): it takes every record that the fields allow")
    columns = concat([subject.training, subject.held_out, subject.odd])
    problems, count = list(subject.fitted.problems(columns)), row_count(columns)
    known = {field.name for field in subject.record.fields}
    for one in problems:
        ensure(0 <= one.row < count, f"row {one.row} of {count} records")
        ensure(one.field in known, f"field {one.field!r}; allowed: {', '.join(sorted(known))}")
        ensure(one.field in one.message, f"the message does not name the field: {one.message!r:.100}")
    for row in sorted({one.row for one in problems})[:SOME]:
        alone = subject.fitted.problems(take(columns, slice(row, row + 1)))
        ensure([one.row for one in alone][:1] == [0], f"record {row} is refused among others, and not alone")
    before = list(_refusing(subject).problems(columns))
    ensure(before == problems, "it refuses others before the fit than after it")
    if not problems:
        raise NotForThis(f"it refused none of {count} records")
    return f"{len({one.row for one in problems})} of {count} refused: {problems[0].message:.80}"


ENCODER_LAWS: Mapping[str, EncoderLaw] = {
    law.__name__: law
    for law in (
        says_what_it_encodes,
        refuses_unknown_parameters,
        gives_rows_of_one_shape,
        tells_records_apart,
        no_rows_get_no_rows,
        the_same_rows_make_the_same_encoder,
        what_was_encoded_before_changes_nothing,
        order_changes_nothing,
        batch_size_changes_nothing,
        threads_change_nothing,
        leaves_records_as_they_are,
        save_and_load_agree,
        keeps_no_pickle,
        stays_in_its_folder,
        answers_what_is_missing_or_unknown,
        refuses_records_by_name,
    )
}
"""Name to law, in the order in which they are checked."""


def _refusing(subject: EncoderSubject) -> Refusing:
    made = subject.make()
    assert isinstance(made, Refusing)
    return made


def _check_rows(encoded: NDArray[Any], rows: int) -> None:
    ensure(isinstance(encoded, np.ndarray), f"it gave {type(encoded).__name__}, no array")
    ensure(encoded.dtype == np.float32, f"type {encoded.dtype}; asked: float32")
    ensure(len(encoded) == rows, f"{len(encoded)} rows of {rows} records")
    ensure(bool(np.isfinite(encoded).all()), "some are no finite numbers")


def _compare(found: NDArray[Any], expected: NDArray[Any]) -> str:
    ensure(found.shape == expected.shape, f"shape {found.shape}; before: {expected.shape}")
    difference = float(np.abs(found.astype(np.float64) - expected).max(initial=0))
    allowed = SAME * max(1.0, float(np.abs(expected).max(initial=0)))
    ensure(difference <= allowed, f"numbers differ by up to {difference:.3g}; allowed: {allowed:.3g}")
    return f"largest difference {difference:.3g} on {len(found)} rows"
