"""What a picture file says of itself, and what decoding it would take, before anything of it is decoded."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Literal

from features.records.pictures.layout import (
    FRAMES,
    JPEG_SIGNATURE,
    MOST_SCANS,
    PNG_SIGNATURE,
    count_scans,
    jpeg_segments,
    png_chunks,
)

MOST_PIXELS = {"PNG": 25_000_000, "JPEG": 50_000_000}
"""Of one picture. A PNG is held whole, 12 bytes a pixel; a large JPEG is reduced as it is decoded."""
MOST_SCANNED = 500_000_000
"""Pixels of a JPEG, once for each of its scans: each goes over all of them, and may be a few bytes."""
SCANS_A_WORK = 5
"""So many scans of a JPEG take about as long as the rest of its decoding."""
ROW_WORK = 2
"""Pixels that are decoded while a row of a PNG is begun: dear where rows are a pixel long."""
PART_WORK = 100
"""Pixels that are decoded while one chunk or segment is looked at."""
_PLAIN = (0xC0, 0xC1, 0xC2)
"""Frames of a baseline, an extended and a progressive JPEG."""
_ARITHMETIC = (0xC9, 0xCA, 0xCB, 0xCD, 0xCE, 0xCF)
_PALETTE = 3
_OTHERS = {
    b"GIF8": "a GIF",
    b"BM": "a BMP",
    b"II*\x00": "a TIFF",
    b"MM\x00*": "a TIFF",
    b"%PDF": "a PDF",
    b"<svg": "an SVG",
    b"<?xml": "XML",
    b"\x00\x00\x01\x00": "an icon",
    b"8BPS": "a Photoshop file",
    b"\xff\x0a": "a JPEG XL",
    b"\x00\x00\x00\x0cJXL ": "a JPEG XL",
    b"\x00\x00\x00\x0cjP  ": "a JPEG 2000",
}
_BRANDS = {b"avif": "an AVIF", b"avis": "an AVIF", b"heic": "a HEIC", b"heix": "a HEIC", b"mif1": "a HEIF"}


@dataclass(frozen=True)
class Header:
    """Kind and size of a picture, as its file has it: before it is turned by its EXIF orientation."""

    kind: Literal["PNG", "JPEG"]
    height: int
    width: int
    work: int
    """How long decoding takes, in plain pixels: more with 16 bits, many scans or many parts."""
    depth: int = 8
    """Bits of a level."""


def read_header(data: bytes) -> Header:
    """Kind and size of a PNG or a JPEG, whatever its name was.

    Raises:
        ValueError: it is of another kind, has no size, or more pixels, parts or scans than are decoded; the
            message is what arrived, and where it is too much, what is allowed.
    """
    header = _header(data)
    if header is None:
        raise ValueError(describe_bytes(data))
    return header


def describe_bytes(data: bytes) -> str:
    """What bytes are that are no PNG and no JPEG, for a message."""
    if not data:
        return "no bytes"
    if data.startswith((PNG_SIGNATURE, JPEG_SIGNATURE)):
        return f"a {'PNG' if data[0] == PNG_SIGNATURE[0] else 'JPEG'} cut short before its size"
    name = next((name for start, name in _OTHERS.items() if data.startswith(start)), None)
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        name = "a WebP"
    if data[4:8] == b"ftyp":
        name = _BRANDS.get(data[8:12], name)
    return f"{len(data)} bytes that are not a PNG or JPEG" if name is None else f"{name}, not a PNG or JPEG"


def _header(data: bytes) -> Header | None:
    if data.startswith(PNG_SIGNATURE):
        return _png_header(data)
    return _jpeg_header(data) if data.startswith(JPEG_SIGNATURE) else None


def _png_header(data: bytes) -> Header | None:
    if len(data) < 33 or data[12:16] != b"IHDR":
        return None
    width, height, depth, colour = struct.unpack(">IIBB", data[16:26])
    said = _ensure_size("PNG", height, width)
    chunks = png_chunks(data)
    if colour == _PALETTE and all(chunk.name != b"PLTE" for chunk in chunks):
        raise ValueError(f"{said} whose colours are those of a palette, without one")
    pixels = height * width
    work = max(pixels * (2 if depth == 16 else 1), pixels + ROW_WORK * height)
    return Header("PNG", height, width, work + PART_WORK * len(chunks), depth)


def _jpeg_header(data: bytes) -> Header | None:
    segments = jpeg_segments(data)
    frame = next((one for one in segments if one.name[0] in FRAMES), None)
    if frame is None or frame.content + 5 > len(data):
        return None
    depth, height, width = struct.unpack_from(">BHH", data, frame.content)
    said = _ensure_size("JPEG", height, width)
    coded = frame.name[0]
    if coded not in _PLAIN or depth != 8:
        odd = "an arithmetic-coded" if coded in _ARITHMETIC else "a lossless or hierarchical"
        got = f"a JPEG of {depth} bits" if coded in _PLAIN else f"{odd} JPEG"
        raise ValueError(f"{got}; decoded are baseline and progressive JPEG of 8 bits")
    scans = count_scans(data, segments[-1].start)
    if scans > MOST_SCANS:
        raise ValueError(f"{said} of more than {MOST_SCANS} scans, and no more are decoded")
    # Whole blocks, as they are decoded.
    pixels = 64 * -(-height // 8) * -(-width // 8)
    if scans > 1 and scans * pixels > MOST_SCANNED:
        most = MOST_SCANNED // 1_000_000
        raise ValueError(
            f"{said} of {scans} scans; decoded are at most {most} million pixels, counted once a scan"
        )
    work = max(height * width, scans * pixels // SCANS_A_WORK if scans > 1 else 0)
    return Header("JPEG", height, width, work + PART_WORK * (len(segments) + scans))


def _ensure_size(kind: Literal["PNG", "JPEG"], height: int, width: int) -> str:
    """What is said of it, if there is something to decode, and not too much."""
    said = f"a {kind} of {height}x{width}"
    if not height or not width:
        raise ValueError(f"{said}, which has no pixels")
    if height * width > MOST_PIXELS[kind]:
        raise ValueError(f"{said}; decoded are at most {MOST_PIXELS[kind] // 1_000_000} million pixels")
    return said
