# SPDX-License-Identifier: GPL-3.0-or-later
"""Trouble inside the test cluster's own node: a NAS that fails on order, servers that cannot be reached."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import urllib.parse
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.sandbox.cluster import node, places, state
from tests.sandbox.cluster.access import until
from tests.support.file_systems import CHECKOUT, Orders

_PATIENCE = 60


def our_node() -> node.Node:
    """The node of the cluster that is up. A cluster of somebody else has none that we could enter."""
    found = None if state.external() else node.running(places.folder() / "processes")
    if found is None:
        pytest.skip("not tested: only the node of our own cluster can be given a NAS that fails")
    return found


@contextlib.contextmanager
def troubled_nas(path: Path) -> Iterator[Orders]:
    """Let the folder `path`, as pods see it, fail on order (tests/support/troubled.py). What they store stays in it."""
    home = our_node()
    store, orders = (path.with_name(f"{path.name}.{name}") for name in ("store", "orders"))
    path.rename(store)
    for folder in (path, orders):
        folder.mkdir()
    # Entering the node changes the working directory.
    program = (sys.executable, "-m", "tests.support.troubled", str(store), str(orders), str(path))
    process = subprocess.Popen(home.inside("env", f"--chdir={CHECKOUT}", *program), stderr=subprocess.DEVNULL)
    try:
        until("the NAS is mounted", lambda: process.poll() is not None or _is_mounted(home, path))
        assert process.poll() is None, "its program has ended"
        yield Orders(orders)
    finally:
        for order in orders.iterdir():
            order.unlink()
        # Its program ends with the mount.
        subprocess.run(home.inside("umount", "--lazy", str(path)), check=False, timeout=_PATIENCE)
        process.wait(_PATIENCE)
        path.rmdir()
        store.rename(path)


def _is_mounted(home: node.Node, path: Path) -> bool:
    mounts = Path(f"/proc/{home.pid}/mounts").read_text().splitlines()
    return any(line.split()[1] == str(path) for line in mounts)


@contextlib.contextmanager
def refused_connections(url: str) -> Iterator[None]:
    """Let nobody listen at `url`, as far as pods can tell."""
    home, server = our_node(), urllib.parse.urlsplit(url)
    table = f"inet fanout-test-{server.port}"
    rule = f"ip daddr {server.hostname} tcp dport {server.port} reject with tcp reset"
    _nft(home, f"add table {table}; add chain {table} out {{ type filter hook forward priority -10; }}")
    try:
        _nft(home, f"add rule {table} out {rule}")
        yield
    finally:
        _nft(home, f"delete table {table}")


def _nft(home: node.Node, script: str) -> None:
    subprocess.run(home.inside("nft", script), check=True, timeout=_PATIENCE)
