"""The laws held to a class in a process of its own, so that one which hangs is given up.

The child is given what to hold on stdin, and says what it sees on stdout, one JSON document a line; what the
class prints itself goes to stderr.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict
from queue import Empty, Queue
from typing import IO, Any, Literal

from configs.schema import RecordConfig
from configs.settings import CHECKOUT
from features.errors import FeatureError
from features.other_packages import FOREIGN, raised
from models.errors import ModelError, NotHeld
from models.laws.encoder_laws import ENCODER_LAWS
from models.laws.laws import LAWS, meaning
from models.laws.report import (
    Finding,
    hold_encoder_to_laws,
    hold_to_laws,
    kind_of,
    kind_of_encoder,
)

What = Literal["estimator", "encoder"]


def hold_apart(
    what: What,
    name: str,
    kind: str | None,
    params: Mapping[str, Any],
    record: RecordConfig | None = None,
    *,
    seconds: float,
) -> Iterator[Finding | str]:
    """The kind that is held, then each law as soon as it is known what becomes of it.

    Where the class hangs or ends its process, the law in hand is broken, and the others are not looked at.

    Args:
        kind: None: the first that it says.
        record: fields of an encoder's records; None: some made for the kind.
        seconds: after so many of one law it is held to hang.

    Raises:
        NotHeld: it is not to be had, refuses the parameters, or does not even come to the first law.
    """
    asked = {
        "what": what,
        "name": name,
        "kind": kind,
        "params": params,
        "record": None if record is None else record.model_dump(mode="json"),
    }
    laws: list[tuple[str, Callable[..., str]]] = [*(LAWS if what == "estimator" else ENCODER_LAWS).items()]
    seen = -1
    with _child(asked) as (child, lines):
        while seen < len(laws):
            said = _next(child, lines, seconds)
            if isinstance(said, str):
                if seen < 0:
                    raise NotHeld(f"{name} {said} where it is looked at")
                law, check = laws[seen]
                left = len(laws) - seen - 1
                more = f"; the {left} laws after it were not looked at" if left else ""
                yield Finding(law, "broken", f"it {said}{more}", meaning(check))
                return
            if "error" in said:
                raise NotHeld(said["error"])
            seen += 1
            yield said["kind"] if "kind" in said else Finding(**said)


def _next(
    child: subprocess.Popen[str], lines: Queue[dict[str, Any] | None], seconds: float
) -> dict[str, Any] | str:
    """What the child says next, or how it came to say nothing."""
    try:
        line = lines.get(timeout=seconds)
    except Empty:
        return f"does not end within {seconds:g} s"
    return f"ends its process: {_ended(child.wait())}" if line is None else line


@contextmanager
def _child(
    asked: Mapping[str, Any],
) -> Iterator[tuple[subprocess.Popen[str], Queue[dict[str, Any] | None]]]:
    """A process that holds, and what it says; it and all that it started end with the block."""
    child = subprocess.Popen(
        [sys.executable, "-m", "models.laws.apart"],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(one for one in [str(CHECKOUT), *sys.path] if one)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert child.stdin is not None
    assert child.stdout is not None
    child.stdin.write(json.dumps(asked, default=str))
    child.stdin.close()
    lines: Queue[dict[str, Any] | None] = Queue()
    reader = threading.Thread(target=_read, args=(child.stdout, lines), daemon=True)
    reader.start()
    try:
        yield child, lines
    finally:
        with suppress(ProcessLookupError):  # it has ended
            os.killpg(child.pid, signal.SIGKILL)
        child.wait()
        reader.join()
        child.stdout.close()


def _read(stdout: IO[str], lines: Queue[dict[str, Any] | None]) -> None:
    for line in stdout:
        lines.put(json.loads(line))
    lines.put(None)


def _ended(code: int) -> str:
    """How a process ended, in words.

    >>> _ended(7), _ended(-11)
    ('exit code 7', 'signal SIGSEGV')
    """
    return f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"


def main() -> None:
    """Hold what stdin says, and tell it."""
    asked = json.load(sys.stdin)
    told = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # whatever the class prints, in C too

    def tell(document: Mapping[str, Any]) -> None:
        told.write(json.dumps(document) + "\n")
        told.flush()

    try:
        for document in _held(**asked):
            tell(document)
    except (ModelError, FeatureError) as error:
        tell({"error": str(error)})
    except FOREIGN as error:
        tell({"error": f"{asked['name']} {raised(error)}"})


def _held(
    *, what: What, name: str, kind: str | None, params: Mapping[str, Any], record: Mapping[str, Any] | None
) -> Iterator[dict[str, Any]]:
    own = kind_of if what == "estimator" else kind_of_encoder
    held = own(name) if kind is None else kind
    yield {"kind": held}
    if what == "estimator":
        findings = hold_to_laws(name, held, params)
    else:
        fields = None if record is None else RecordConfig.model_validate(record)
        findings = hold_encoder_to_laws(name, held, params, fields)
    for finding in findings:
        yield asdict(finding)


if __name__ == "__main__":
    main()
