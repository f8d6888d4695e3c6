"""Evidently's page, made so that no value in it is ever taken for markup or code.

Evidently writes names and values as JSON into a script, where a value such as `</script><script>...` ends the
script and begins another, and draws with a library that takes `<a href=...>` in a label for a link. Here the
page is put together anew from its parts. The values become a block of data that browsers do not run; and the
page begins with a policy that allows its own scripts by their hashes, and nothing else: no other script, no
request to any server. The policy is part of the page, so it holds wherever the page is opened.
"""

from __future__ import annotations

import json
import math
import re
from base64 import b64encode
from hashlib import sha256
from html import escape
from typing import Any

from store.errors import PageError

JOINER = "\u2060"
"""Shown as nothing; after a `<` it keeps a text from being read as a tag, and within `](` as a link."""
_HEAD = '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="UTF-8">\n'
_POLICY = (
    "default-src 'none'; script-src {hashes}; style-src 'unsafe-inline'; img-src data: blob:; "
    "font-src data:; base-uri 'none'; form-action 'none'"
)
_NOTE = "margin: 1em; font-family: sans-serif"
_META = '<meta http-equiv="Content-Security-Policy" content="'
_HASH = re.compile(r"'sha256-[A-Za-z0-9+/]{43}='")
_DATA = re.compile(r"<script>\s*var (?P<name>\w+) = ")
_GRAPHS = re.compile(r";\s*var additional_graphs_(?P<name>\w+) = ")
_END = re.compile(r";\s*</script>")
_SCRIPT = re.compile(r"<script>(.*?)</script>", re.DOTALL)
_STYLE = re.compile(r"<style>.*?</style>", re.DOTALL)
_DRAW = """
const [page, graphs] = JSON.parse(document.getElementById("values").textContent);
window.drawDashboard(page, new Map(Object.entries(graphs)), "report");
"""
# What could end a script or begin one, in any reading of the page; none of it has a meaning in JSON.
_ESCAPES = str.maketrans({character: f"\\u{ord(character):04x}" for character in "<>&\u2028\u2029"})


def sanitise_page(html: str, *, note: str | None = None) -> str:
    """Evidently's page with its values as plain text, under a policy of its own; a sanitised one as it is.

    Args:
        note: a line above the values.

    Raises:
        PageError: it is no page that Evidently has drawn.
    """
    if html.startswith(_HEAD + _META):
        content_security_policy(html)
        return html
    data = _DATA.search(html)
    if data is None:
        raise PageError("no values where Evidently writes them")
    page, end = _read_json(html, data.end())
    between = _GRAPHS.match(html, end)
    if between is None or between["name"] != data["name"]:
        raise PageError("no graphs where Evidently writes them")
    graphs, end = _read_json(html, between.end())
    if _END.match(html, end) is None:
        raise PageError("more than values where Evidently writes them")
    # All that is left was not made of values: the library, between a line before it and one after.
    scripts = _SCRIPT.findall(html, end)
    if len(scripts) != 3:
        raise PageError(f"{len(scripts)} scripts beside the values; allowed: 3")
    styles = _STYLE.findall(html, 0, data.start())
    return _write(styles, [page, graphs], [*scripts[:2], _DRAW], note)


def content_security_policy(page: str) -> str:
    """The policy in the head of a sanitised page.

    Raises:
        PageError: it is not sanitised.
    """
    prefix, head, remainder = page.partition(_HEAD + _META)
    policy = remainder[: remainder.find('"')]
    if prefix or not head or policy != _POLICY.format(hashes=" ".join(_HASH.findall(policy))):
        raise PageError("no policy at its beginning")
    return policy


def _write(styles: list[str], values: Any, scripts: list[str], note: str | None) -> str:
    text = json.dumps(_plain(values), ensure_ascii=True, allow_nan=False).translate(_ESCAPES)
    policy = _POLICY.format(hashes=" ".join(_hash(script) for script in scripts))
    parts = [
        f'{_HEAD}{_META}{policy}">\n',
        '<meta name="viewport" content="width=device-width, initial-scale=1.0">\n<title>Drift</title>\n',
        *styles,
        "\n</head>\n<body>\n",
        "" if note is None else f'<p style="{_NOTE}">{escape(note)}</p>\n',
        '<div id="report"></div>\n',
        f'<script type="application/json" id="values">{text}</script>\n',
        *(f"<script>{script}</script>\n" for script in scripts),
        "</body>\n</html>\n",
    ]
    return "".join(parts)


def _plain(value: Any) -> Any:
    """The same with texts that no renderer reads as markup; numbers that JSON has not are missing ones."""
    if isinstance(value, str):
        return value.replace("<", f"<{JOINER}").replace("](", f"]{JOINER}(")
    if isinstance(value, dict):
        return {_plain(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _read_json(text: str, start: int) -> tuple[Any, int]:
    try:
        return json.JSONDecoder().raw_decode(text, start)
    except (ValueError, RecursionError) as error:
        raise PageError(f"values that are no JSON: {error}") from error


def _hash(script: str) -> str:
    return f"'sha256-{b64encode(sha256(script.encode()).digest()).decode()}'"
