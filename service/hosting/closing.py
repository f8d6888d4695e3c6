"""The end of a listening socket: nobody is let in any more, before it is closed."""

from __future__ import annotations

import ctypes
import socket
import struct

_ATTACH_FILTER = getattr(socket, "SO_ATTACH_FILTER", 26)
# Classic BPF on the TCP header: load the flags, compare SYN and ACK of them with SYN alone, drop or keep.
_NO_SYN = (
    (0x30, 0, 0, 13),
    (0x54, 0, 0, 0x12),
    (0x15, 0, 1, 0x02),
    (0x06, 0, 0, 0),
    (0x06, 0, 0, 0xFFFFFFFF),
)


def refuse_connections(listener: socket.socket) -> None:
    """Let no client begin to connect any more, whoever listens; those that have are still to be accepted.

    Without it whoever connects between the last accept and the end of the socket is reset. A system that
    knows no such filter leaves that moment.
    """
    program = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *step) for step in _NO_SYN))
    try:
        listener.setsockopt(
            socket.SOL_SOCKET, _ATTACH_FILTER, struct.pack("HL", len(_NO_SYN), ctypes.addressof(program))
        )
    except OSError:
        return
