"""Pictures that rows of a file name, by a path or a URL: which may be read, and their bytes.

Whoever writes a file chooses its words, and may be a stranger. Paths lead to regular files in the folder of
the file, or in those that the configuration names, whatever links stand between; URLs lead to the origins
that the configuration names, and nowhere else.
"""

from __future__ import annotations

import asyncio
import os
import stat
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING

from configs.spelling.letters import compose, decompose

if TYPE_CHECKING:
    import httpx

MB = 1 << 20
MOST_BYTES = 32 * MB
"""Of one picture."""
CONNECT_SECONDS, WHOLE_SECONDS = 5.0, 30.0
MOST_SILENT = 5
"""Times that an origin may not answer, one after the other; then it is asked no more for this file."""
OUTSIDE = "which lies outside the folder of the file; allowed besides: `files.picture_folders`"


class LinkedPictures:
    """The bytes of the pictures that rows of one file name."""

    def __init__(self, file: Path, folders: Sequence[str] = (), hosts: Sequence[str] = ()) -> None:
        all_folders = (str(file.absolute().parent), *folders)
        self.folders = [Path(os.path.realpath(folder)) for folder in all_folders]
        self.hosts = tuple(hosts)
        self._silent: Counter[str] = Counter()
        self._downloads: Downloads | None = None

    def __call__(self, text: str) -> bytes:
        """The bytes of a picture.

        Raises:
            ValueError: nothing may be read there, or there is nothing; the message follows what arrived.
        """
        scheme, separator, _ = text.partition("://")
        if separator:
            return self._download(text, scheme.lower())
        if not text.isprintable():
            raise ValueError("a name with characters that cannot be seen; allowed: a path or a URL")
        try:
            return self._read(text)
        except OSError as error:
            raise ValueError(f"which cannot be read: {error.strerror or error}") from error

    def close(self) -> None:
        """Let go of connections."""
        if self._downloads is not None:
            self._downloads.close()

    def _read(self, text: str) -> bytes:
        inside = missing = False
        # A name may be written in other letters than the file system has it in (`configs.spelling.letters`).
        texts = dict.fromkeys((text, compose(text), decompose(text)))
        for folder, name in product(self.folders, texts):
            try:
                real = Path(os.path.realpath(folder / name))
            except OSError:  # a name that is too long, links in a circle
                continue
            if not real.is_relative_to(folder) or real == folder:
                continue
            inside = True
            try:
                return _bytes_within(folder, real.relative_to(folder).parts)
            except FileNotFoundError:
                missing = True
        raise ValueError("and there is no such file" if inside or missing else OUTSIDE)

    def _download(self, text: str, scheme: str) -> bytes:
        import httpx  # only for URLs

        if scheme not in ("http", "https"):
            raise ValueError("allowed: a path, or a URL of http or https")
        try:
            url = httpx.URL(text)
            allowed = [_origin(httpx.URL(host)) for host in self.hosts]
        except (httpx.InvalidURL, UnicodeError) as error:
            raise ValueError(f"which is no URL: {error}") from error
        origin = _origin(url)
        if url.userinfo or origin not in allowed:
            known = ", ".join(self.hosts) or "none"
            raise ValueError(f"of an origin that pictures may not come from (`files.picture_hosts`: {known})")
        if self._silent[origin] >= MOST_SILENT:
            raise ValueError(f"and {origin} is asked no more: {MOST_SILENT} times it did not answer")
        if self._downloads is None:
            self._downloads = Downloads()
        try:
            data = self._downloads.get(url)
        except httpx.HTTPError as error:
            self._silent[origin] += 1
            raise ValueError(f"which did not answer: {str(error) or type(error).__name__}") from error
        except TimeoutError as error:
            self._silent[origin] += 1
            raise ValueError(f"which takes longer than {WHOLE_SECONDS:g} seconds") from error
        self._silent[origin] = 0
        return data


def _bytes_within(folder: Path, parts: Sequence[str]) -> bytes:
    """A file by the names below a folder, none of which may be a link: one put there meanwhile is refused."""
    at = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        for name in parts[:-1]:
            inner = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=at)
            os.close(at)
            at = inner
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY
        descriptor = os.open(parts[-1], flags, dir_fd=at)
    finally:
        os.close(at)
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise ValueError("which is no file; allowed: a PNG or JPEG")
        if status.st_size > MOST_BYTES:
            raise ValueError(f"a file of {status.st_size // MB} MB; allowed: {MOST_BYTES // MB} MB")
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            return file.read(MOST_BYTES)
    finally:
        os.close(descriptor)


class Downloads:
    """Gets pictures from elsewhere, one at a time, each whole within `WHOLE_SECONDS`.

    A limit of each step alone would not end one that sends a byte now and then. So they run in an event loop,
    where everything can be given up, in a thread of its own, as the caller's may have another.
    """

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="pictures")
        self._runner = asyncio.Runner()
        self._client: httpx.AsyncClient | None = None

    def get(self, url: httpx.URL) -> bytes:
        """The body of an answer 200; redirects are not followed.

        Raises:
            ValueError: something else is answered, or more than `MOST_BYTES`.
            TimeoutError: it takes too long.
            httpx.HTTPError: it is not answered.
        """
        return self._thread.submit(lambda: self._runner.run(self._get(url))).result()

    def close(self) -> None:
        """Let go of connections."""
        self._thread.submit(self._close).result()
        self._thread.shutdown()

    async def _get(self, url: httpx.URL) -> bytes:
        import httpx  # only for URLs

        if self._client is None:
            timeout = httpx.Timeout(WHOLE_SECONDS, connect=CONNECT_SECONDS)
            self._client = httpx.AsyncClient(timeout=timeout, follow_redirects=False, trust_env=False)
        async with asyncio.timeout(WHOLE_SECONDS), self._client.stream("GET", url) as response:
            return await _body(response)

    def _close(self) -> None:
        if self._client is not None:
            self._runner.run(self._client.aclose())
        self._runner.close()


async def _body(response: httpx.Response) -> bytes:
    if response.status_code != 200:
        raise ValueError(f"which answers {response.status_code}; allowed: 200")
    parts, size = [], 0
    async for part in response.aiter_bytes():
        parts.append(part)
        size += len(part)
        if size > MOST_BYTES:
            raise ValueError(f"which sends more than {MOST_BYTES // MB} MB")
    return b"".join(parts)


def _origin(url: httpx.URL) -> str:
    return f"{url.scheme}://{url.netloc.decode('ascii')}"
