"""`ratchet up` that is interrupted while servers start, more than once."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest

from flows.cli.commands import servers


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    """The signals as they were."""
    before = {number: signal.getsignal(number) for number in servers.SIGNALS}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def test_what_was_begun_is_stopped_whole_however_often_somebody_interrupts() -> None:
    stopped = []
    with pytest.raises(KeyboardInterrupt), servers._interrupted_once():
        try:
            signal.raise_signal(signal.SIGINT)
        finally:
            for number in servers.SIGNALS:
                os.kill(os.getpid(), number)
                stopped.append(number)
    assert stopped == list(servers.SIGNALS)
    with pytest.raises(KeyboardInterrupt):  # and what is done next can be interrupted again
        signal.raise_signal(signal.SIGTERM)
