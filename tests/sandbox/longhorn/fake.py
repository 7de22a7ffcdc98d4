# SPDX-License-Identifier: GPL-3.0-or-later
"""A fake Longhorn in a real cluster: everything of it but the disks. README.md says what it does."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

from ..cluster.certificates import Authority
from . import installation
from .api import LONGHORN, Api, Object
from .controller import Controller, fire
from .engine import Engine
from .web import Site
from .world import Faults, World


class Fake:
    """One fake, as tests order it about."""

    def __init__(self, api: Api, address: str, folder: Path) -> None:
        self.api = api
        self.world = World(api)
        authority = Authority(folder)
        pair = authority.issue("longhorn", names=(address,))
        self._address = address
        self._site = Site(self.world, address, pair.certificate, pair.key)
        self._authority = authority.files.certificate
        self.controller = Controller(self.world)

    def start(self) -> None:
        self._site.start()
        installation.remove_hooks(self.api)  # of a fake that was killed
        installation.install(self.api, self._site.webhook_url, self._authority)
        installation.remove_objects(self.api)
        self.show_ui(running=True)
        self.controller.start()

    def stop(self) -> None:
        self.controller.stop()
        installation.remove_hooks(self.api)
        installation.remove_objects(self.api)
        self.show_ui(running=False)
        self._site.stop()

    def reset(self) -> None:
        """Let nothing go wrong any more, and remove what a test left."""
        with self.world.lock:
            self.world.faults = Faults()
            self.world.sync_seconds = 0.3
            self.controller.csi.has_snapshot_controller = True
            self.world.engines.clear()
            self.world.calls.clear()
            installation.remove_objects(self.api)
        self.show_ui(running=True)
        installation.set_node_ready(self.api, ready=True)

    def show_ui(self, *, running: bool) -> None:
        """Scale the UI, behind which the REST API is, to 0 or back."""
        installation.serve_frontend(self.api, self._address, self._site.frontend_port if running else 0)

    @contextlib.contextmanager
    def webhooks_down(self) -> Iterator[None]:
        """Let webhooks be where nothing answers, as while Longhorn's managers are down."""
        installation.install_hooks(self.api, f"https://{self._address}:9", self._authority)
        try:
            yield
        finally:
            installation.install_hooks(self.api, self._site.webhook_url, self._authority)

    def fire(self, job: str) -> None:
        """Run a recurring job once, now."""
        fire(self.world, self.api.get(f"{LONGHORN}/recurringjobs/{job}"))

    def engine(self, volume: str) -> Engine:
        """A volume's data."""
        return self.world.engine(self.api.get(f"{LONGHORN}/volumes/{volume}"))

    def write(self, volume: str, word: str) -> None:
        """Write something onto a volume."""
        with self.world.lock:
            self.engine(volume).head.append(word)

    def take(self, volume: str, name: str, job: str | None = None, age: timedelta = timedelta()) -> None:
        """Take a snapshot, as if a job had done it some time ago."""
        with self.world.lock:
            self.engine(volume).take(name, {"RecurringJob": job} if job else {}, age)

    def ticket(self, volume: str, ticket: str, node: str, kind: str = "longhorn-api") -> None:
        """Have somebody else's ticket for a volume."""
        wanted: Object = {"id": ticket, "type": kind, "nodeID": node, "parameters": {"disableFrontend": "false"}}
        self.api.patch(f"{LONGHORN}/volumeattachments/{volume}", {"spec": {"attachmentTickets": {ticket: wanted}}})


@contextlib.contextmanager
def running(client: object, address: str) -> Iterator[Fake]:
    """Have a fake Longhorn in the cluster of a client of the package kubernetes. `address` is where the cluster reaches
    this machine."""
    with tempfile.TemporaryDirectory(prefix="fanout-longhorn-") as folder:
        fake = Fake(Api(client), address, Path(folder))
        try:
            fake.start()
            yield fake
        finally:
            fake.stop()
