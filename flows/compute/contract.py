"""What a pool can do for those who have work: take it, give back what came of it, and give it up."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, wait
from pathlib import Path
from typing import Any, Protocol, TypeVar

K = TypeVar("K")
OnReport = Callable[[dict[str, Any]], None]
"""Told what work reports of itself while it is done, as JSON values; called from a thread of the pool."""


class Pool(Protocol):
    """Processes, here or elsewhere, that work is given to.

    Work of a process that is lost is done again by another: it must not matter that it was begun before.
    """

    @property
    def width(self) -> int:
        """How many pieces of work are done side by side."""
        ...

    @property
    def where(self) -> str:
        """Where that is, for people."""
        ...

    @property
    def told(self) -> str:
        """The same with how many processes there are now, for the record of what was done there."""
        ...

    @property
    def is_here(self) -> bool:
        """Whether its processes see the files of this machine."""
        ...

    @property
    def client(self) -> Any:
        """Of `distributed`, for work that is spread over all workers together; None: there is none."""
        ...

    def submit(self, function: Callable[..., Any], *arguments: Any) -> Future[Any]:
        """Have something done; both must be importable where the pool is.

        The future fails with what the function raised, or with `WorkLost`. To cancel it gives the work up;
        what has been begun is told by `flows.compute.inside.unwanted_check`.
        """
        ...

    def share(self, value: Any) -> Any:
        """What stands for a large value as an argument of many: `inside.value_of` gives it to each.

        It has to be an argument itself, not within one.
        """
        ...

    def share_folder(self, folder: Path) -> Any:
        """The same for the files of a folder, which may not change: `inside.folder_of`."""
        ...

    def listen(self, topic: str, on_report: OnReport) -> None:
        """Have what work reports under a topic (`inside.reporter`) told."""
        ...

    def close(self) -> None:
        """Give up what is not done, and let go of the processes."""
        ...


def as_done(
    pool: Pool, function: Callable[..., Any], work: Iterable[tuple[K, tuple[Any, ...]]], *, ahead: int = 2
) -> Iterator[tuple[K, Any]]:
    """Have each piece done, and give its key with what came of it as soon as it is there.

    Of the work no more is taken than the pool does side by side, and `ahead` times as much that waits: so
    much is in memory.
    """
    waiting: dict[Future[Any], K] = {}
    pieces, most = iter(work), pool.width * (1 + ahead)
    try:
        while True:
            while len(waiting) < most and (piece := next(pieces, None)) is not None:
                key, arguments = piece
                waiting[pool.submit(function, *arguments)] = key
            if not waiting:
                return
            for future in wait(waiting, return_when=FIRST_COMPLETED).done:
                yield waiting.pop(future), future.result()
    finally:
        for future in waiting:
            future.cancel()
