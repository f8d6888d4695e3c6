"""What client and server say to each other over a socket of the machine; only the standard library."""

from __future__ import annotations

import json
import socket
import struct
from typing import Any

SOCKET = "RATCHET_WARM_SOCKET"
"""Variable with the path of the socket; absent, flow runs start by themselves."""
GREETING = b"+"
"""Said by the server before it takes a request: who does not hear it has not been served."""
_LENGTH = struct.Struct("!I")
_MOST_BYTES = 4_000_000


def send(connection: socket.socket, message: Any, files: tuple[int, ...] = ()) -> None:
    """Send a message, and with it open files."""
    content = json.dumps(message).encode()
    if files:
        socket.send_fds(connection, [_LENGTH.pack(len(content))], list(files))
    else:
        connection.sendall(_LENGTH.pack(len(content)))
    connection.sendall(content)


def receive(connection: socket.socket, most_files: int = 0) -> tuple[Any, list[int]]:
    """The next message, and the open files that came with it.

    Raises:
        EOFError: the other side is gone, or says what is no message.
    """
    head, files, _flags, _address = socket.recv_fds(connection, _LENGTH.size, most_files)
    try:
        head += _exactly(connection, _LENGTH.size - len(head))
        (length,) = _LENGTH.unpack(head)
        if length > _MOST_BYTES:
            raise EOFError
        return json.loads(_exactly(connection, length)), files
    except (EOFError, ValueError, OSError) as error:
        close_all(files)
        raise EOFError from error


def close_all(files: list[int]) -> None:
    """Close what has come."""
    import os

    for file in files:
        os.close(file)


def _exactly(connection: socket.socket, count: int) -> bytes:
    content = b""
    while len(content) < count:
        part = connection.recv(count - len(content))
        if not part:
            raise EOFError
        content += part
    return content
