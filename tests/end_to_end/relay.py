# SPDX-License-Identifier: GPL-3.0-or-later
"""What may stand between a backup and its database server, reduced to what betrays it."""

from __future__ import annotations

import contextlib
import itertools
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence

_CHUNK = 1 << 16
# BackendKeyData: the process id and the secret with which a query can be cancelled.
_KEY_DATA = re.compile(rb"K\x00\x00\x00\x0c....", re.DOTALL)
Passed = Callable[[bytes], bytes]


def unchanged(data: bytes) -> bytes:
    return data


def with_a_process_id_of_its_own(data: bytes) -> bytes:
    """What a pooler does: its sessions are none of the server's."""
    return _KEY_DATA.sub(b"K\x00\x00\x00\x0c\x00\x00\x00\x07", data)


@contextlib.contextmanager
def relay(ports: Sequence[int], passed: Passed = unchanged, *, late: float = 0) -> Iterator[int]:
    """Yield a port of 127.0.0.1 that leads to each of `ports` in turn; `passed` is done to what servers say. For its
    first `late` seconds it refuses everybody."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        turn = itertools.cycle(ports)
        if not late:
            listener.listen()

        def serve() -> None:
            with contextlib.suppress(OSError):  # closed: the test is over
                if late:
                    time.sleep(late)
                    listener.listen()
                while True:
                    client, _address = listener.accept()
                    server = socket.create_connection(("127.0.0.1", next(turn)), timeout=30)
                    for one, other, change in ((client, server, unchanged), (server, client, passed)):
                        threading.Thread(target=_pump, args=(one, other, change), daemon=True).start()

        threading.Thread(target=serve, daemon=True).start()
        yield listener.getsockname()[1]
        with contextlib.suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)  # ends the accept


def _pump(source: socket.socket, target: socket.socket, change: Passed) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(_CHUNK):
            target.sendall(change(data))
    for end in (source, target):
        with contextlib.suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)
