"""Which faults of a load, or of an answer, are the machine's, or of a moment, and no fault of the version.

A disk that is full, a process without free file descriptors, memory that is taken, a storage that machines
share and that does not answer: each passes, and the same version loads then. What is in its files, and what
its code does with them, stays as it is.
"""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterator

_OF_FILES = frozenset(
    (
        errno.ENOENT,
        errno.ENOTDIR,
        errno.EISDIR,
        errno.EEXIST,
        errno.EINVAL,
        errno.ELOOP,
        errno.ENAMETOOLONG,
        errno.ENOEXEC,
    )
)
"""Codes of the system that tell of what is in a folder; the same call gives them again."""
_MEMORY = (re.escape(os.strerror(errno.ENOMEM)), r"std::bad_alloc", r"Failed to allocate memory")
_OF_MEMORY = re.compile("|".join(_MEMORY))
_IN_WORDS = (errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOSPC, errno.EDQUOT)
_WORDS = re.compile(
    "|".join(
        (
            *(re.escape(os.strerror(code)) for code in _IN_WORDS),
            rf"system error number (?:{'|'.join(str(code) for code in _IN_WORDS)})\b",  # ONNX Runtime's
            *_MEMORY,
            r"can't start new thread",
        )
    )
)
"""How libraries tell of the same in errors of their own."""


def is_passing(error: BaseException) -> bool:
    """Whether the same load may succeed later, on the same files.

    >>> is_passing(OSError(28, "No space left on device")), is_passing(MemoryError())
    (True, True)
    >>> is_passing(FileNotFoundError(2, "No such file or directory")), is_passing(ValueError("no weights"))
    (False, False)
    """
    return any(_is_passing(one) for one in _causes(error))


def lacks_memory(error: BaseException) -> bool:
    """Whether it is of memory that could not be had.

    >>> lacks_memory(RuntimeError("std::bad_alloc")), lacks_memory(OSError(28, "No space left on device"))
    (True, False)
    """
    return any(isinstance(one, MemoryError) or _OF_MEMORY.search(str(one)) for one in _causes(error))


def _is_passing(error: BaseException) -> bool:
    if isinstance(error, MemoryError | ConnectionError | TimeoutError):
        return True
    if isinstance(error, OSError) and error.errno is not None:
        return error.errno not in _OF_FILES
    return _WORDS.search(str(error)) is not None


def _causes(error: BaseException) -> Iterator[BaseException]:
    """An error, and those that it came of."""
    seen: set[int] = set()
    at: BaseException | None = error
    while at is not None and id(at) not in seen:
        seen.add(id(at))
        yield at
        at = at.__cause__ or (None if at.__suppress_context__ else at.__context__)
