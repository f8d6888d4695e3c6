"""The pages of the documentation, and what they say in code."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]


def read(name: str) -> str:
    """Text of a page, by its path in the repository."""
    return (ROOT / name).read_text(encoding="utf-8")


def blocks(text: str, language: str = "") -> list[str]:
    """The fenced code blocks of a language (default: those that name none)."""
    # Every block is matched, so that the end of one is never taken for the beginning of the next.
    found = re.findall(r"^```(\w*)\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL)
    return [content for named, content in found if named == language]


def commands(text: str) -> list[list[str]]:
    """Every call of `ratchet` in code, as words: from blocks and from `...` in the text."""
    code = [*blocks(text), *re.findall(r"`([^`\n]+)`", text)]
    found = []
    for line in "\n".join(code).replace("\\\n", " ").splitlines():
        for part in re.split(r"[|;]|&&", line.split("#")[0]):
            words = part.split()
            if words and Path(words[0]).name == "ratchet":
                found.append(words[1:])
    return found
