# SPDX-License-Identifier: GPL-3.0-or-later
"""The two servers that the API server calls: the webhooks, and the UI that forwards /v1 to Longhorn's REST API."""

from __future__ import annotations

import base64
import json
import ssl
import threading
import urllib.parse
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from .api import Object
from .rest import LostAnswer, answer
from .rules import Refusal, mutated, validate
from .world import World

_USUAL_MAXIMUM = 100


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def __init__(self, world: World, handler: type[BaseHTTPRequestHandler], address: str) -> None:
        self.world = world
        super().__init__((address, 0), handler)

    @property
    def port(self) -> int:
        return int(self.server_address[1])

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that were killed are part of the tests."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    timeout = 120
    server: _Server

    def read(self) -> Object:
        text = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        found: Object = json.loads(text) if text else {}
        return found

    def send(self, status: int, body: object) -> None:
        text = json.dumps(body).encode() if body is not None else b""
        self.send_response_only(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_: Any) -> None:
        """Silence."""


class _Webhooks(_Handler):
    def do_POST(self) -> None:
        review = self.read()
        request = review["request"]
        answered = {"uid": request["uid"], **self._review(request)}
        self.send(200, {"apiVersion": review["apiVersion"], "kind": review["kind"], "response": answered})

    def _review(self, request: Object) -> Object:
        kind, new, old = request["kind"]["kind"], request["object"], request.get("oldObject")
        world = self.server.world
        try:
            if self.path.startswith("/mutate"):
                made = mutated(kind, new, creating=old is None, volume=world.volume)
                return {"allowed": True, **_patch(new, made)}
            most = int(world.setting("recurring-job-max-retention") or _USUAL_MAXIMUM)
            validate(kind, new, old, most)
        except Refusal as refusal:
            causes = [{"reason": "FieldValueInvalid", "message": str(refusal)}]
            status = {"code": 422, "reason": "Invalid", "message": str(refusal), "details": {"causes": causes}}
            return {"allowed": False, "status": status}
        return {"allowed": True}


def _patch(new: Object, made: Object) -> Object:
    if new == made:
        return {}
    changes = [
        {"op": "add", "path": f"/{part}", "value": made[part]}
        for part in ("metadata", "spec")
        if new.get(part) != made.get(part)
    ]
    return {"patchType": "JSONPatch", "patch": base64.b64encode(json.dumps(changes).encode()).decode()}


class _Frontend(_Handler):
    def do_GET(self) -> None:
        self._answer()

    do_POST = do_GET

    def _answer(self) -> None:
        link = urllib.parse.urlsplit(self.path)
        (action,) = urllib.parse.parse_qs(link.query).get("action", [""])
        try:
            status, body = answer(self.server.world, link.path, action, self.read())
        except LostAnswer:
            self.close_connection = True
            return
        self.send(status, body)


class Site:
    """Both servers, running from `start` to `stop`."""

    def __init__(self, world: World, address: str, certificate: Path, key: Path) -> None:
        self._webhooks = _Server(world, _Webhooks, address)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        self._webhooks.socket = context.wrap_socket(self._webhooks.socket, server_side=True)
        self._frontend = _Server(world, _Frontend, address)
        self.webhook_url = f"https://{address}:{self._webhooks.port}"
        self.frontend_port = self._frontend.port

    def start(self) -> None:
        for server in (self._webhooks, self._frontend):
            _in_background(server.serve_forever)

    def stop(self) -> None:
        for server in (self._webhooks, self._frontend):
            server.shutdown()
            server.server_close()


def _in_background(work: Callable[[], None]) -> None:
    threading.Thread(target=work, daemon=True).start()
