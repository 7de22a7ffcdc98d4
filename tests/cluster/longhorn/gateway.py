# SPDX-License-Identifier: GPL-3.0-or-later
"""A way to the API server on which every change can be watched, and whoever makes it killed right after it was made.

Longhorn's REST API is reached through the API server, too, so that nothing passes by.
"""

from __future__ import annotations

import contextlib
import json
import re
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import yaml

from tests.sandbox.cluster.access import Access


class Gateway:
    """Passes requests on. `changes` are those that change something, in words ("attach", "statefulset scale 0"), and
    `bodies` what was sent with each."""

    def __init__(self, access: Access, folder: Path) -> None:
        self.changes: list[str] = []
        self.bodies: dict[str, Any] = {}
        # Paths that begin so are answered as by a server that does not know them.
        self.hidden = "?"
        # Called after a change was made, and before whoever made it hears of that.
        self.after: Callable[[str], None] = lambda _change: None
        client = access.core.api_client
        self.pool, self.host = client.rest_client.pool_manager, client.configuration.host
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        self.kubeconfig = folder / "gateway.kubeconfig"
        url = f"http://127.0.0.1:{self._server.server_address[1]}"
        settings = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "gateway",
            "contexts": [{"name": "gateway", "context": {"cluster": "gateway", "user": "gateway"}}],
            "clusters": [{"name": "gateway", "cluster": {"server": url}}],
            "users": [{"name": "gateway", "user": {}}],
        }
        self.kubeconfig.write_text(yaml.safe_dump(settings))

    @contextlib.contextmanager
    def open(self) -> Iterator[Gateway]:
        """Serve for the length of a block."""
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        try:
            yield self
        finally:
            self._server.shutdown()
            self._server.server_close()


def in_words(method: str, path: str, body: Any) -> str:
    """A change as a test names it, "" for a request that changes nothing."""
    action = re.search(r"\?action=(\w+)", path)
    if action:
        return "" if action[1] == "snapshotList" else action[1]
    if method == "GET" or "dryRun" in path:
        return ""
    kind = re.sub(r"s$", "", path.partition("?")[0].split("/namespaces/")[-1].split("/")[1])
    if "/scale" in path:
        return f"{kind} scale {body['spec']['replicas']}"
    return f"{method} {kind}"


def _handler(gateway: Gateway) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def _pass(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            headers = {name: self.headers[name] for name in ("Content-Type", "Accept") if self.headers.get(name)}
            path = "/apis/unknown.example/v1" if self.path.startswith(gateway.hidden) else self.path
            answer = gateway.pool.request(self.command, gateway.host + path, body=body or None, headers=headers)
            sent = json.loads(body) if body else None
            change = in_words(self.command, self.path, sent)
            if change:
                gateway.bodies[change] = sent
                gateway.changes.append(change)
                gateway.after(change)
            with contextlib.suppress(ConnectionError):
                self.send_response_only(answer.status)
                self.send_header("Content-Type", answer.headers.get("Content-Type", "application/json"))
                self.send_header("Content-Length", str(len(answer.data)))
                self.end_headers()
                self.wfile.write(answer.data)

        do_GET = do_POST = do_PATCH = do_PUT = do_DELETE = _pass

        def log_message(self, *_: Any) -> None:
            """Silence."""

    return Handler
