"""Which faults of a table are its place's, and no damage: what is whole is not made again for them."""

from __future__ import annotations

import errno
import os
import re

_CODES = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EMFILE, errno.ENFILE)
_PLACE = re.compile(
    "|".join(
        (
            # What Delta says of an object store, or of a disk, that failed; that an object is gone is damage.
            r"Generic \w+ error",
            r"Python exception: (?!FileNotFoundError)",
            *(re.escape(os.strerror(code)) for code in _CODES),
        )
    )
)


def is_of_place(error: BaseException) -> bool:
    """Whether a disk or an object store is at fault, and not what is in the files.

    >>> is_of_place(OSError("Generic S3 error: after 3 retries")), is_of_place(ValueError("Invalid JSON"))
    (True, False)
    """
    return _PLACE.search(str(error)) is not None
