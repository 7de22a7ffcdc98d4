# SPDX-License-Identifier: GPL-3.0-or-later
"""A slow line to a server: real sockets, and so many bytes a second towards it."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Iterator
from urllib.parse import urlsplit

_PIECE = 1 << 14


@contextlib.contextmanager
def slow_line(url: str, rate: int) -> Iterator[str]:
    """Yield a URL that leads to the server at `url`; each connection carries `rate` bytes a second towards it."""
    target = (urlsplit(url).hostname or "", urlsplit(url).port or 0)

    def forward(source: socket.socket, sink: socket.socket, *, slowly: bool) -> None:
        with contextlib.suppress(OSError):
            while piece := source.recv(_PIECE):
                if slowly:
                    time.sleep(len(piece) / rate)
                sink.sendall(piece)
        with contextlib.suppress(OSError):
            sink.shutdown(socket.SHUT_WR)

    def accept(listener: socket.socket) -> None:
        with contextlib.suppress(OSError):  # closed: the end
            while True:
                near, _ = listener.accept()
                far = socket.create_connection(target)
                threading.Thread(target=forward, args=(near, far), kwargs={"slowly": True}, daemon=True).start()
                threading.Thread(target=forward, args=(far, near), kwargs={"slowly": False}, daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        # A small window, so that the sender feels the line and not this process's memory.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 16)
        threading.Thread(target=accept, args=(listener,), daemon=True).start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


@contextlib.contextmanager
def silence() -> Iterator[str]:
    """Yield the URL of a server that accepts connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
