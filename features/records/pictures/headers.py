"""What a picture file says of itself in its first bytes, before anything of it is decoded."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Literal

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
JPEG_SIGNATURE = b"\xff\xd8\xff"
MOST_PIXELS = {"PNG": 25_000_000, "JPEG": 50_000_000}
"""Of one picture. A PNG is held whole, 12 bytes a pixel; a large JPEG is reduced as it is decoded."""
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
"""Markers of JPEG that are followed by height and width."""
_ALONE = frozenset(range(0xD0, 0xD9)) | {0x01}
"""Markers of JPEG without content."""
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


def read_header(data: bytes) -> Header:
    """Kind and size of a PNG or a JPEG, whatever its name was.

    Raises:
        ValueError: it is of another kind, has no size, or more pixels than are decoded; the message is what
            arrived.
    """
    header = _header(data)
    if header is None:
        raise ValueError(describe_bytes(data))
    said = f"a {header.kind} of {header.height}x{header.width}"
    if not header.height or not header.width:
        raise ValueError(f"{said}, which has no pixels")
    if header.height * header.width > MOST_PIXELS[header.kind]:
        raise ValueError(
            f"{said}; decoded are at most {MOST_PIXELS[header.kind] // 1_000_000} million pixels"
        )
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
        if len(data) < 33 or data[12:16] != b"IHDR":
            return None
        width, height = struct.unpack(">II", data[16:24])
        return Header("PNG", height, width)
    return _jpeg_header(data) if data.startswith(JPEG_SIGNATURE) else None


def _jpeg_header(data: bytes) -> Header | None:
    at = 2
    while at + 9 <= len(data):
        if data[at] != 0xFF or data[at + 1] == 0xFF:  # bytes between segments, as some cameras leave them
            at += 1
            continue
        marker = data[at + 1]
        if marker in _FRAMES:
            height, width = struct.unpack(">HH", data[at + 5 : at + 9])
            return Header("JPEG", height, width)
        if marker in (0xD9, 0xDA):
            return None
        at += 2 if marker in _ALONE else 2 + max(2, int.from_bytes(data[at + 2 : at + 4], "big"))
    return None
