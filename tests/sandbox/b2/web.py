# SPDX-License-Identifier: GPL-3.0-or-later
"""HTTP: reading requests, ordered failures, sending answers. What is asked and who may is the subclasses' business."""

from __future__ import annotations

import secrets
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from . import errors
from .faults import LONGEST_HANG, Call, Fault
from .s3_request import Answer
from .store import Body
from .world import World

IDLE_TIMEOUT = 120


LOOPBACK = "127.0.0.1"


class Server(ThreadingHTTPServer):
    """One listener, on the loopback interface unless told another address. Threads end with the process."""

    daemon_threads = True
    # A burst of clients must queue, not be refused.
    request_queue_size = 128

    def __init__(self, world: World, handler: type[Handler], port: int, address: str = LOOPBACK) -> None:
        self.world = world
        super().__init__((address, port), handler)

    @property
    def url(self) -> str:
        address, port = self.server_address[:2]
        return f"http://{address!s}:{port}"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that go away are part of the tests; anything else is a bug and goes to standard error."""
        if not isinstance(sys.exc_info()[1], (ConnectionError, TimeoutError)):
            super().handle_error(request, client_address)


class Handler(BaseHTTPRequestHandler):
    """A connection. Subclasses say what a request is (`identify`), do it (`apply`) and word a failure (`failure`)."""

    protocol_version = "HTTP/1.1"
    timeout = IDLE_TIMEOUT
    # Headers and body are two writes; without this the second one waits for the client's acknowledgement.
    disable_nagle_algorithm = True
    server: Server

    @property
    def world(self) -> World:
        return self.server.world

    @property
    def target(self) -> str:
        """The request target exactly as it arrived; `path` of the base class is tidied."""
        return self.requestline.split(" ")[1]

    @property
    def lower_headers(self) -> dict[str, str]:
        """Headers by name in lower case; repeated ones joined by a comma, as a signature wants them."""
        names = {name.lower() for name in self.headers}
        return {name: ",".join(self.headers.get_all(name, [])) for name in names}

    def identify(self) -> Call:
        raise NotImplementedError

    def apply(self, raw_body: bytes, fault: Fault | None, /) -> Answer:
        raise NotImplementedError

    def failure(self, status: int, code: str, message: str) -> Answer:
        raise NotImplementedError

    def respond(self) -> None:
        call = self.identify()
        fault = self.world.faults.take(call)
        try:
            answer = self._answer(fault)
        except errors.Disconnected:
            self.close_connection = True
            self.world.journal.note(call)
        else:
            self.world.journal.note(replace(call, status=answer.status))
            self._send(answer, fault)

    def _dispatch(self) -> None:
        self.respond()

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = _dispatch

    def _answer(self, fault: Fault | None) -> Answer:
        kind = fault.kind if fault else ""
        raw_body = self._read_body(cut_after=fault.bytes if fault and kind == "cut" else None)
        if fault and kind == "error":
            return self._ordered(fault)
        if fault and kind == "hang":
            fault.released.wait(LONGEST_HANG)
            raise errors.Disconnected
        if fault and kind == "slow":
            time.sleep(fault.seconds)
        answer = self.apply(raw_body, fault)
        if fault and kind == "error_after":
            return self._ordered(fault)
        if kind == "lost_answer":
            raise errors.Disconnected
        return answer

    def _ordered(self, fault: Fault) -> Answer:
        answer = self.failure(fault.status, fault.code, fault.message)
        if fault.retry_after:
            answer.headers["Retry-After"] = str(fault.retry_after)
        return answer

    def _read_body(self, cut_after: int | None) -> bytes:
        """Read the whole body. Raise Disconnected if the client, or an order to cut, ends it early."""
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            pieces = self._transfer_chunks()
        else:
            pieces = self._sized(int(self.headers.get("Content-Length") or 0))
        body: list[bytes] = []
        left = cut_after
        for piece in pieces:
            body.append(piece)
            if left is not None and (left := left - len(piece)) <= 0:
                raise errors.Disconnected
        return b"".join(body)

    def _sized(self, length: int) -> Iterator[bytes]:
        while length > 0:
            piece = self.rfile.read(min(length, 1 << 20))
            if not piece:
                raise errors.Disconnected
            length -= len(piece)
            yield piece

    def _transfer_chunks(self) -> Iterator[bytes]:
        while size := int(self.rfile.readline(1000).split(b";")[0] or b"0", 16):
            yield from self._sized(size)
            self.rfile.readline(10)
        while self.rfile.readline(10_000).strip():
            pass

    def _send(self, answer: Answer, fault: Fault | None) -> None:
        self.send_response_only(answer.status)
        self.send_header("Date", format_datetime(self.world.clock.wall().replace(microsecond=0), usegmt=True))
        self.send_header("x-amz-request-id", secrets.token_hex(8))
        for name, value in answer.headers.items():
            self.send_header(name, value)
        if answer.status != 204:
            self.send_header("Content-Length", str(answer.body.size))
        self.end_headers()
        if self.command != "HEAD":
            self._send_body(answer.body, fault)

    def _send_body(self, body: Body, fault: Fault | None) -> None:
        stop = body.size
        if fault is not None and fault.kind == "cut":
            self.close_connection = True
            stop = min(fault.bytes, stop)
        for piece in body.slice(0, stop):
            self.wfile.write(piece)

    def log_message(self, *_: Any) -> None:
        """Silence: request lines hold signatures, and the journal counts."""
