# SPDX-License-Identifier: GPL-3.0-or-later
"""Start, stop and describe the test cluster.

Every command works from whatever an earlier one left, killed or not: the node stands on record before it runs,
cluster.json is written last, and what is not complete and running is removed and made anew.
"""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from pathlib import Path

from tools import system, tally

from .. import processes
from ..ending import Pool
from ..errors import SandboxError
from ..places import locked, remove
from . import build, cgroups, components, configuration, images, node, places, ready, state
from .configuration import Layout

Say = Callable[[str], None]
RECORDS = "processes"


def up(say: Say) -> bool:
    """Have a complete cluster running, with today's images. Say whether one had to be made."""
    folder = places.folder()
    # Images are in the cache until this cluster has them: another checkout may be waiting to replace them by its own.
    with places.cache_locked(), locked(folder):
        binaries = build.binaries(say)
        current = images.make(say)
        if _is_complete(folder):
            _renew_images(folder, current)
            return False
        _clear(folder)
        _make_or_clear(folder, binaries, current)
    return True


def _make_or_clear(folder: Path, binaries: build.Binaries, current: images.Images) -> None:
    with Pool() as pool:
        # An image that is still being imported when this fails is given up as soon as the node has ended.
        try:
            state.save(_make(folder, binaries, current, pool), folder)
        except SandboxError:
            _end(folder)  # its remedy is to read a log
            raise
        except BaseException:
            _clear(folder)
            raise


def down() -> None:
    """End the cluster and remove all that it had on this machine. No error if there is nothing."""
    folder = places.folder()
    with locked(folder):
        _clear(folder)


def excuse(what: str, say: Say) -> int | None:
    """Return None where a cluster can be had. Else say in one line that `what` is left out, and return the exit code:
    where CI says so, it is a failure."""
    lacking = None if state.external() else system.lacking(system.CLUSTER.needs)
    if lacking is None:
        return None
    say(f"{what} is left out: this machine has {lacking}")
    tally.add(whole=f"{what} ({lacking.problem})")
    return int(tally.nothing_may_be_left_out())


@contextlib.contextmanager
def at_hand(say: Say) -> Iterator[state.Cluster]:
    """The external cluster, or the one that runs, or one that is made for as long as this lasts."""
    made = not state.external() and up(say)
    try:
        yield state.load()
    finally:
        if made:
            down()


def status() -> Iterator[tuple[str, bool]]:
    """Yield each of the cluster's programs, and whether it is running. Nothing means that there is no cluster."""
    for process in processes.recorded(places.folder() / RECORDS):
        yield process.name, processes.is_running(process)


def _is_complete(folder: Path) -> bool:
    records = processes.recorded(folder / RECORDS)
    return state.path(folder).exists() and bool(records) and all(map(processes.is_running, records))


def _renew_images(folder: Path, current: images.Images) -> None:
    cluster = state.load(folder)
    home = node.running(folder / RECORDS)
    if home and cluster.images != current:
        for archive in set(current.archives.values()) - set(cluster.images.archives.values()):
            _import(folder, home, archive)
        state.save(state.Cluster(cluster.kubeconfig, cluster.machine, current), folder)


def _end(folder: Path) -> None:
    node.end(folder / RECORDS)
    cgroups.remove(_name(folder))


def _clear(folder: Path) -> None:
    _end(folder)
    for path in folder.iterdir():
        remove(path) if path.is_dir() else path.unlink()


def _name(folder: Path) -> str:
    """What the machine calls what it has of the cluster: its cgroups, and its end of the link."""
    return f"fanout-test-{folder.name}"


def _make(folder: Path, binaries: build.Binaries, current: images.Images, pool: Executor) -> state.Cluster:
    for name in (RECORDS, "logs"):
        (folder / name).mkdir()
    cgroups.make(_name(folder))
    home = node.start(folder / RECORDS, folder / "logs/node.log")
    layout = Layout(folder, node.furnish(home, _name(folder)), _name(folder))
    commands = components.commands(layout, binaries, configuration.write(layout))

    def start(*names: str) -> None:
        for name in names:
            log = folder / f"logs/{name}.log"
            processes.start(name, home.inside(*commands[name]), folder=folder / RECORDS, log=log)

    watch = ready.Watch(folder / RECORDS, folder / "logs")
    start("etcd", "containerd")
    watch.until("containerd answers", lambda: _ctr(folder, home, "version"))
    importing = [pool.submit(_import, folder, home, archive) for archive in current.archives.values()]
    start("kube-apiserver")
    api = ready.Api(layout.kubeconfig)
    watch.until("the API server is ready", api.is_ready)
    start(*(name for name in commands if name not in ("etcd", "containerd", "kube-apiserver")))
    watch.until("the node is ready", api.has_ready_node)
    watch.until("pods can be made", lambda: api.has_service_account("default"))
    watch.until("CoreDNS is ready", lambda: ready.answers(f"http://{layout.network.node}:8181/ready"))
    for each in importing:
        each.result()
    return state.Cluster(layout.kubeconfig, layout.network.machine, current)


def _import(folder: Path, home: node.Node, archive: Path) -> None:
    if not _ctr(folder, home, "images", "import", str(archive)):
        raise SandboxError(f"containerd does not take {archive}", remedy=f"read {folder}/logs/containerd.log")


def _ctr(folder: Path, home: node.Node, *arguments: str) -> bool:
    # It waits for ever for a containerd that has ended; in the node, it ends with it.
    command = home.inside("ctr", f"--address={folder}/containerd.sock", "--namespace=k8s.io", *arguments)
    return subprocess.run(command, check=False, capture_output=True, timeout=600).returncode == 0
