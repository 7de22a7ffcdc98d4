# SPDX-License-Identifier: GPL-3.0-or-later
"""python -m tests.sandbox.cluster up|down|status, as make calls it, and after accidents."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.sandbox import processes, tree
from tests.sandbox.cluster import places, state
from tests.sandbox.places import CHECKOUT
from tests.support.file_systems import fuse

from .conftest import leave_out_without_means

PATIENCE = 500

pytestmark = pytest.mark.skipif(bool(state.external()), reason="an external cluster is not ours to start and stop")


class Lab:
    """A cluster beside the one that other tests use, driven by the command."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.environment = {**os.environ, "FANOUT_TEST_CLUSTER": name}

    @property
    def folder(self) -> Path:
        return places.folder().with_name(self.name)

    def start(self, command: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "tests.sandbox.cluster", command],
            cwd=CHECKOUT,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def start_tests(self, *which: str) -> subprocess.Popen[str]:
        """Run tests on this cluster, as leaders of a group with all that they start."""
        return subprocess.Popen(
            [sys.executable, "-m", "pytest", "-n0", "-q", *which],
            cwd=CHECKOUT,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def call(self, command: str) -> tuple[int, str, str]:
        """Run the command to its end: exit code, output, errors."""
        process = self.start(command)
        output, errors = process.communicate(timeout=PATIENCE)
        return process.returncode, output, errors

    def records(self) -> list[processes.Process]:
        return processes.recorded(self.folder / "processes")

    def leavings(self) -> list[str]:
        """What the machine has of this cluster: processes, mounts, cgroups, interfaces, its folder."""
        found = [str(self.folder)] if self.folder.exists() else []
        found += [f"cgroup {path}" for path in tree.below(Path("/sys/fs/cgroup"), f"fanout-test-{self.name}")]
        links = json.loads(subprocess.run(("ip", "-json", "link"), capture_output=True, check=True, timeout=60).stdout)
        found += [f"link {link['ifname']}" for link in links if link.get("ifalias") == f"fanout-test-{self.name}"]
        found += [line for line in Path("/proc/self/mounts").read_text().splitlines() if str(self.folder) in line]
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                if str(self.folder) in path.read_bytes().decode(errors="replace"):
                    found.append(f"process {path.parent.name}")
        return found


def traces() -> set[str]:
    """What a Kubernetes leaves elsewhere: state of its programs where they like to have it."""
    patterns = [
        f"{folder}/*{name}*"
        for folder in ("opt", "run", "usr/libexec", "var/lib", "var/log")
        for name in ("cni", "kube", "containerd", "netns", "etcd")
    ]
    return {str(path) for pattern in patterns for path in Path("/").glob(pattern)}


@pytest.fixture
def lab() -> Iterator[Lab]:
    leave_out_without_means()
    before = traces()
    cluster = Lab(f"test-{os.getpid()}")
    yield cluster
    assert cluster.call("down") == (0, "cluster: down\n", "")
    assert cluster.leavings() == []
    assert traces() == before


def wait_for(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_up_status_down_and_each_of_them_twice(lab):
    code, _, errors = lab.call("status")
    assert code == 1
    assert errors == "cluster: the test cluster is not up. Remedy: make cluster-up\n"

    assert lab.call("up")[0] == 0
    assert {each.split()[0] for each in lab.leavings()} >= {"cgroup", "link", "process"}, "what a leaving is gets found"
    before = lab.records()
    kubeconfig = lab.folder / "kubeconfig"
    assert kubeconfig.stat().st_mode & 0o777 == 0o600
    assert str(kubeconfig) == json.loads((lab.folder / "cluster.json").read_text())["kubeconfig"]
    code, output, errors = lab.call("up")
    assert (code, errors) == (0, "")
    assert "up already" in output
    assert lab.records() == before

    code, output, errors = lab.call("status")
    assert (code, errors) == (0, "")
    assert "cluster: kubelet runs\n" in output

    for _ in range(2):
        assert lab.call("down") == (0, "cluster: down\n", "")
        assert lab.leavings() == []


def test_an_up_that_is_killed_half_way_is_made_good_by_the_next(lab):
    for moment in ("node", "kube-apiserver", "kubelet"):
        process = lab.start("up")
        wait_for(lambda moment=moment: (lab.folder / f"processes/{moment}.json").exists())
        process.kill()
        process.communicate(timeout=PATIENCE)
        assert not (lab.folder / "cluster.json").exists()
    assert lab.call("up")[0] == 0
    assert all(map(processes.is_running, lab.records()))
    assert len([each for each in lab.leavings() if each.startswith("cgroup")]) > 0


def test_two_ups_at_once_make_one_cluster(lab):
    answers = [process.communicate(timeout=PATIENCE) for process in (lab.start("up"), lab.start("up"))]
    assert [errors for _, errors in answers] == ["", ""]
    assert sorted("up already" in output for output, _ in answers) == [False, True]


@pytest.mark.parametrize("moment", ["node", "kube-apiserver", "kubelet"])
def test_a_terminated_up_cleans_up_by_itself(lab, moment):
    process = lab.start("up")
    wait_for((lab.folder / f"processes/{moment}.json").exists)
    process.terminate()
    assert process.communicate(timeout=PATIENCE)[1] == "cluster: terminated\n"
    assert lab.leavings() == []


@fuse
def test_tests_pass_again_after_they_and_the_cluster_were_killed_in_the_middle_of_one(lab):
    assert lab.call("up")[0] == 0
    hangs = "tests/cluster/test_no_shared_fate.py::test_the_bucket_is_backed_up_to_while_mounting_the_nas_hangs"
    tests = lab.start_tests(hangs)
    # By then the kubelet itself hangs in the kernel, at a NAS that does not answer.
    wait_for(lambda: any(lab.folder.glob("nas/*/nas.orders/stat")) or tests.poll() is not None)
    os.killpg(tests.pid, signal.SIGKILL)
    output = tests.communicate(timeout=PATIENCE)[0]
    assert tests.returncode == -signal.SIGKILL, output
    for record in lab.records():
        os.kill(record.pid, signal.SIGKILL)
    wait_for(lambda: not any(map(processes.is_running, lab.records())))

    code, output, errors = lab.call("up")

    assert (code, errors) == (0, "")
    assert "up already" not in output
    again = lab.start_tests(hangs)
    output = again.communicate(timeout=PATIENCE)[0]
    assert again.returncode == 0, output
