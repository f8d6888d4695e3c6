"""Whether requests should come here: once production is loaded, and until the server is told to end."""

from __future__ import annotations

from collections.abc import Mapping

from service.answers.slot import Slot
from service.errors import Draining, Loading
from service.swap.watcher import Watcher


class Readiness:
    """The readiness of one worker; used from its event loop."""

    def __init__(self, slots: Mapping[str, Slot], watcher: Watcher) -> None:
        self.draining = False
        self._slots = slots
        self._watcher = watcher
        self._was_ready = False

    def ensure(self) -> None:
        """Say why not, if so. What was loaded once is never waited for again.

        Raises:
            Draining: the server is about to end.
            Loading: a use case has a production version, or may have one, that is not loaded yet.
        """
        if self.draining:
            raise Draining
        if self._was_ready:
            return
        if waiting := [name for name, slot in self._slots.items() if self._watcher.awaits(slot)]:
            postponed = {
                name: {one: told.problem for one, told in self._slots[name].postponed.items()}
                for name in waiting
            }
            raise Loading(waiting, self._watcher.registry_error, postponed)
        self._was_ready = True
