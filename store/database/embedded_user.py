"""Who the embedded PostgreSQL runs as: it refuses to be root.

An ordinary user runs it plainly. Root runs it in a user namespace, where the process is user
1000 but may still use root's files; where namespaces are not permitted, as `nobody`, which
then owns the folder, and may pass through the one around it.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from configs.security.home import allow_traversal
from store.errors import PostgresFailed

NOBODY = 65534
_NAMESPACE = ("unshare", "--user", "--map-user=1000", "--map-group=1000")


@dataclass(frozen=True)
class Launcher:
    """How processes are started: `prefix` before the command, and as user `uid` when not our own."""

    prefix: tuple[str, ...] = ()
    uid: int | None = None

    def run(self, command: list[str]) -> subprocess.CompletedProcess[str]:
        """Run to the end and keep what it says on standard error; a server it leaves behind may live on."""
        return subprocess.run(
            [*self.prefix, *command],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
            text=True, check=False, cwd="/", start_new_session=True,
            user=self.uid, group=self.uid, extra_groups=self._groups,
        )  # fmt: skip

    def give(self, path: Path) -> None:
        """Make the user that runs the server the owner of `path`."""
        if self.uid is not None:
            os.chown(path, self.uid, self.uid)

    @property
    def _groups(self) -> list[int] | None:
        return None if self.uid is None else []


def launcher_for(folder: Path) -> Launcher:
    """The way that works on this machine.

    Raises:
        PostgresFailed: we are root, may not make user namespaces, and `nobody` cannot reach the folder.
    """
    if os.geteuid() != 0:
        return Launcher()
    if namespaces_permitted():
        return Launcher(prefix=_NAMESPACE)
    launcher = Launcher(uid=NOBODY)
    launcher.give(folder)
    allow_traversal(folder.parent)
    if launcher.run(["test", "-w", str(folder)]).returncode == 0:
        return launcher
    raise PostgresFailed(
        f"PostgreSQL refuses to run as root, user namespaces are not permitted, and user {NOBODY} (nobody) "
        f"cannot reach {folder}; run as an ordinary user, choose a RATCHET_HOME below folders that everybody "
        "may enter, or set RATCHET_DATABASE_URL"
    )


@cache
def namespaces_permitted() -> bool:
    """Whether `unshare` works here; many containers forbid it."""
    if shutil.which(_NAMESPACE[0]) is None:
        return False
    return subprocess.run([*_NAMESPACE, "true"], capture_output=True, check=False).returncode == 0
