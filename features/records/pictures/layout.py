"""The parts of a picture file, found without decoding any: what its pixels need of it, and the rest.

Small parts are cheap to write and dear to read, so that their number is bounded; and a decoder is handed only
those that pixels depend on, so that no profile, text, animation or damaged tag costs or warns of anything.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from typing import NamedTuple

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
JPEG_SIGNATURE = b"\xff\xd8\xff"
MOST_PARTS = 20_000
"""Chunks of a PNG, segments of a JPEG. Programs write one for 8 kB or more of pixels."""
MOST_SCANS = 100
"""Of a JPEG. Progressive ones have 6 to 18."""
FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
"""Markers of JPEG that are followed by depth, height and width."""
_ALONE = frozenset(range(0x01, 0xC0)) | frozenset(range(0xD0, 0xD9))
"""Markers of JPEG without content, or that mean nothing."""
_SOS, _EOI, _EXIF = 0xDA, 0xD9, 0xE1
_UNNEEDED = frozenset({*range(0xE0, 0xF0), 0xFE}) - {0xE0, 0xEE}
"""Segments of applications and comments. JFIF's and Adobe's say which colours the numbers are."""
_PNG_NEEDED = frozenset({b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND"})
_MARKER = re.compile(rb"\xff[^\x00\xff]")
_MARKER_IN_SCAN = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]")


class Part(NamedTuple):
    """A chunk or a segment, by where it begins and ends in the file and where its content begins."""

    name: bytes
    """Of a chunk; of a segment, the byte of its marker."""
    start: int
    content: int
    end: int


def png_chunks(data: bytes) -> list[Part]:
    """Chunks up to the end of the picture, or of what has come of it.

    Raises:
        ValueError: there are more than `MOST_PARTS`; its text is what arrived, and what is allowed.
    """
    found: list[Part] = []
    at = len(PNG_SIGNATURE)
    while at + 8 <= len(data):
        (length,) = struct.unpack_from(">I", data, at)
        part = Part(data[at + 4 : at + 8], at, at + 8, at + 12 + length)
        found.append(part)
        if part.name == b"IEND":
            break
        if len(found) > MOST_PARTS:
            raise ValueError(f"a PNG of more than {MOST_PARTS:,} chunks, and no more are read")
        at = part.end
    return found


def jpeg_segments(data: bytes) -> list[Part]:
    """Segments before the pixels; the last begins the first scan, if there is one.

    Raises:
        ValueError: there are more than `MOST_PARTS`; its text is what arrived, and what is allowed.
    """
    found: list[Part] = []
    for part in _walk(data, 2):
        found.append(part)
        if part.name[0] in (_SOS, _EOI):
            break
    return found


def count_scans(data: bytes, start: int) -> int:
    """How many scans a JPEG has from its first on; counted no further than `MOST_SCANS` + 1.

    Raises:
        ValueError: it has more than `MOST_PARTS` segments.
    """
    # What cannot be a scan may look like one, in a thumbnail or in a film behind the picture; never the
    # other way round.
    if (at_most := data.count(b"\xff\xda", start)) <= 1:
        return at_most
    scans = 0
    for part in _walk(data, start):
        scans += part.name[0] == _SOS
        if part.name[0] == _EOI or scans > MOST_SCANS:
            break
    return scans


def needed_of_png(data: bytes) -> tuple[bytes, bytes]:
    """The file with the chunks that its pixels depend on alone; content of its EXIF, empty without."""
    chunks = png_chunks(data)
    exif = next((data[one.content : one.end - 4] for one in chunks if one.name == b"eXIf"), b"")
    needed = [data[one.start : one.end] for one in chunks if one.name in _PNG_NEEDED]
    return b"".join([PNG_SIGNATURE, *needed]), exif


def needed_of_jpeg(data: bytes) -> tuple[bytes, bytes]:
    """The file with the segments that its pixels depend on alone; content of its EXIF, empty without."""
    segments = jpeg_segments(data)
    exifs = (data[one.content : one.end] for one in segments if one.name[0] == _EXIF)
    exif = next((one for one in exifs if one.startswith(b"Exif\x00\x00")), b"")
    needed = [data[one.start : one.end] for one in segments[:-1] if one.name[0] not in _UNNEEDED]
    pixels = data[segments[-1].start :] if segments else b""
    return b"".join([data[:2], *needed, pixels]), exif


def _walk(data: bytes, at: int) -> Iterator[Part]:
    """Segments from a place on, over whatever stands between them: stray bytes, or the pixels of a scan."""
    marker = _MARKER
    for _ in range(MOST_PARTS):
        place = marker.search(data, at)
        if place is None:
            return
        start, code = place.start(), data[place.end() - 1]
        if code in _ALONE or code == _EOI:
            at = start + 2
            yield Part(bytes([code]), start, at, at)
            continue
        at = start + 2 + max(2, int.from_bytes(data[start + 2 : start + 4], "big"))
        yield Part(bytes([code]), start, start + 4, at)
        if code == _SOS:
            marker = _MARKER_IN_SCAN
    raise ValueError(f"a JPEG of more than {MOST_PARTS:,} segments, and no more are read")
