"""Picture files of every odd kind, made here: what is read, and what is refused with which words."""

from __future__ import annotations

import io
import struct
import zlib
from typing import Any

import numpy as np
from PIL import Image

RED, BLUE = (220, 30, 40), (20, 40, 200)


def halves(width: int = 60, height: int = 40) -> Image.Image:
    """Red on the left, blue on the right."""
    pixels = np.empty((height, width, 3), dtype=np.uint8)
    pixels[:, : width // 2], pixels[:, width // 2 :] = RED, BLUE
    return Image.fromarray(pixels)


def saved(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    """The file of an image."""
    held = io.BytesIO()
    image.save(held, kind, **options)
    return held.getvalue()


def png_of(width: int, height: int, depth: int, colour: int, rows: bytes, *, clear: bytes = b"") -> bytes:
    """A PNG of any header, chunk by chunk; `rows` begin with their filter each."""

    def chunk(name: bytes, content: bytes) -> bytes:
        return (
            struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))
        )

    head = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    parts = [chunk(b"IHDR", head), chunk(b"tRNS", clear) if clear else b""]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def deep_rgb() -> bytes:
    """16 bits a channel: red on the left, blue on the right."""
    row = b"\x00" + b"".join(struct.pack(">3H", *(257 * level for level in RED)) for _ in range(30))
    row += b"".join(struct.pack(">3H", *(257 * level for level in BLUE)) for _ in range(30))
    return png_of(60, 40, 16, 2, row * 40)


def with_orientation(told: int) -> bytes:
    """A JPEG that looks like `halves` once it is turned as its EXIF says."""
    undo = {
        1: None, 2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM, 5: Image.Transpose.TRANSPOSE, 6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE, 8: Image.Transpose.ROTATE_270,
    }[told]  # fmt: skip
    exif = Image.Exif()
    exif[0x0112] = told
    image = halves()
    return saved(image if undo is None else image.transpose(undo), "JPEG", quality=95, exif=exif)


def palette() -> bytes:
    return saved(halves().quantize(4))


def animated_png() -> bytes:
    return saved(halves(), save_all=True, append_images=[Image.new("RGB", (60, 40), (0, 255, 0))])


def several_pictures() -> bytes:
    return saved(halves(), "MPO", save_all=True, append_images=[halves()], quality=95)


def transparent() -> bytes:
    """Red and blue below, and above nothing at all."""
    image = halves().convert("RGBA")
    image.paste((0, 0, 0, 0), (0, 0, 60, 20))
    return saved(image)


def without_adobe(jpeg: bytes) -> bytes:
    """The same JPEG without its APP14 segment."""
    at = jpeg.index(b"\xff\xee")
    return jpeg[:at] + jpeg[at + 2 + int.from_bytes(jpeg[at + 2 : at + 4], "big") :]


def bomb_jpeg(height: int = 60_000, width: int = 60_000) -> bytes:
    """A small JPEG that says it is huge."""
    data = bytearray(saved(halves(), "JPEG"))
    at = data.index(b"\xff\xc0")
    data[at + 5 : at + 9] = struct.pack(">HH", height, width)
    return bytes(data)


def bomb_png() -> bytes:
    """A PNG of 400 million pixels in 50 kB."""
    return png_of(20_000, 20_000, 1, 0, b"\x00" * 2_501 * 20_000)


def many_scans(extra: int, width: int = 60, height: int = 40) -> bytes:
    """A progressive JPEG whose last scan comes so many times more."""
    data = saved(halves(width, height), "JPEG", quality=10, progressive=True)
    scan = data[data.rindex(b"\xff\xda") : -2]
    return data[:-2] + scan * extra + data[-2:]


def with_segments(*segments: bytes) -> bytes:
    """A JPEG with segments before its own, each its marker and its content."""
    data = saved(halves(), "JPEG", quality=95)
    parts = [one[:2] + struct.pack(">H", len(one)) + one[2:] for one in segments]
    return data[:2] + b"".join(parts) + data[2:]


def with_chunks(*chunks: tuple[bytes, bytes]) -> bytes:
    """A PNG with chunks before its pixels."""
    data = saved(halves())
    parts = [struct.pack(">I", len(one)) + name + one + struct.pack(">I", zlib.crc32(name + one))
             for name, one in chunks]  # fmt: skip
    return data[:33] + b"".join(parts) + data[33:]


def of_frame(marker: int, depth: int = 8) -> bytes:
    """A JPEG that says it is coded in another way."""
    data = bytearray(saved(halves(), "JPEG"))
    at = data.index(b"\xff\xc0")
    data[at + 1], data[at + 4] = marker, depth
    return bytes(data)


PROFILE = (b"iCCP", b"a\x00\x00" + zlib.compress(bytes(1_000_000), 9))
"""A kilobyte that becomes a megabyte."""

READ = {
    "rgb-png": saved(halves()),
    "jpeg": saved(halves(), "JPEG", quality=95),
    "progressive-jpeg": saved(halves(), "JPEG", quality=95, progressive=True),
    "palette-png": palette(),
    "16-bit-png": deep_rgb(),
    "cmyk-jpeg": saved(halves().convert("CMYK"), "JPEG", quality=95),
    "apng": animated_png(),
    "mpo": several_pictures(),
    "icc-png": saved(halves(), icc_profile=b"no profile at all"),
    "icc-jpeg": saved(halves(), "JPEG", quality=95, icc_profile=b"\x00" * 128),
    "damaged-exif": saved(halves(), "JPEG", quality=95, exif=b"Exif\x00\x00MM\x00*\xff\xff\xff\xff"),
    "large": saved(halves(3000, 2000), "JPEG", quality=90),
    "tiny": saved(halves(2, 1)),
    "many-scans": many_scans(40),
    "profiles": with_chunks(*[PROFILE] * 50, (b"zTXt", b"a\x00\x00" + zlib.compress(bytes(2_000_000)))),
    "film-behind": saved(halves(), "JPEG", quality=95) + b"\xff\xda\x00\x02" * 500,
    "thumbnail": with_segments(b"\xff\xe3" + saved(halves(), "JPEG", progressive=True)),
    "stray-bytes": b"\xff\xd8\xff\xfe\x00\x02" + b"\x00" * 900 + saved(halves(), "JPEG", quality=95)[2:],
    **{f"orientation-{told}": with_orientation(told) for told in range(1, 9)},
}
"""All of these are red on the left and blue on the right."""

REFUSED = {
    "gif": (saved(halves(), "GIF"), "got a GIF, not a PNG or JPEG"),
    "webp": (saved(halves(), "WEBP"), "got a WebP, not a PNG or JPEG"),
    "bmp": (saved(halves(), "BMP"), "got a BMP, not a PNG or JPEG"),
    "tiff": (saved(halves(), "TIFF"), "got a TIFF, not a PNG or JPEG"),
    "svg": (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "got an SVG, not a PNG or JPEG"),
    "heic": (b"\x00\x00\x00\x18ftypheic" + bytes(40), "got a HEIC, not a PNG or JPEG"),
    "text": (b"hello", "got 5 bytes that are not a PNG or JPEG"),
    "only-a-start": (b"\x89PNG\r\n\x1a\n", "got a PNG cut short before its size"),
    "jpeg-without-size": (b"\xff\xd8\xff\xd9", "got a JPEG cut short before its size"),
    "truncated-png": (saved(halves())[:-40], "got a damaged PNG ("),
    "truncated-jpeg": (saved(halves(), "JPEG")[:-200], "got a damaged JPEG ("),
    "bomb-png": (bomb_png(), "got a PNG of 20000x20000; decoded are at most 25 million pixels"),
    "bomb-jpeg": (bomb_jpeg(), "got a JPEG of 60000x60000; decoded are at most 50 million pixels"),
    "no-pixels": (bomb_jpeg(0, 60), "got a JPEG of 0x60, which has no pixels"),
    "wide-png": (png_of(0, 4, 8, 2, b""), "got a PNG of 4x0, which has no pixels"),
    "scan-bomb": (many_scans(15, 6000, 6000), "got a JPEG of 6000x6000 of 25 scans; decoded are at most 500"),
    "scans": (many_scans(200), "got a JPEG of 40x60 of more than 100 scans, and no more are decoded"),
    "chunks": (with_chunks(*[(b"abCd", b"")] * 20_001), "got a PNG of more than 20,000 chunks"),
    "segments": (with_segments(*[b"\xff\xfe"] * 20_001), "got a JPEG of more than 20,000 segments"),
    "arithmetic": (of_frame(0xC9), "got an arithmetic-coded JPEG; decoded are baseline and progressive JPEG"),
    "lossless": (of_frame(0xC3), "got a lossless or hierarchical JPEG; decoded are"),
    "12-bit-jpeg": (of_frame(0xC1, 12), "got a JPEG of 12 bits; decoded are"),
    "no-palette": (
        png_of(2, 2, 8, 3, b"\x00" * 6),
        "got a PNG of 2x2 whose colours are those of a palette, without one;",
    ),
    "cmyk-without-adobe": (
        without_adobe(saved(halves().convert("CMYK"), "JPEG")),
        "got a damaged JPEG (a CMYK JPEG that does not say which way its inks count",
    ),
}
"""Each with how its refusal begins."""
