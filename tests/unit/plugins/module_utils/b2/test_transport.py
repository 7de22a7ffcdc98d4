# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from fanout.b2.transport import Answer, Transport
from fanout.contract.errors import Unavailable


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        if self.path == "/redirect":
            self.send_response(302)
            self.send_header("Location", "/elsewhere")
            self.end_headers()
        elif self.path == "/short":
            self.send_response(200)
            self.send_header("Content-Length", "100")
            self.end_headers()
            self.wfile.write(b"{")
        elif self.path == "/busy":
            self.send_response(503)
            self.send_header("Retry-After", "7")
            self.end_headers()
        else:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"<html>log in to this network</html>")

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[HTTPServer]:
    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        server.asked = []
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def send(server: HTTPServer, path: str) -> Answer:
    return Transport().send(f"http://127.0.0.1:{server.server_port}{path}", "token", None)


def test_a_redirect_is_not_followed_with_the_token(server: HTTPServer) -> None:
    assert send(server, "/redirect").status == 302
    assert server.asked == ["/redirect"]


def test_half_an_answer_is_none(server: HTTPServer) -> None:
    with pytest.raises(Unavailable, match=f"127.0.0.1:{server.server_port} does not answer"):
        send(server, "/short")


def test_retry_after_is_read(server: HTTPServer) -> None:
    assert send(server, "/busy") == Answer(503, {}, 7.0)


def test_the_login_page_of_a_network_is_no_answer(server: HTTPServer) -> None:
    with pytest.raises(Unavailable, match="not JSON"):
        send(server, "/login")


def test_a_port_where_nobody_listens_is_named() -> None:
    with pytest.raises(Unavailable, match=r"127\.0\.0\.1:1 does not answer \(.*refused"):
        Transport().send("http://127.0.0.1:1/", "token", {})
