# SPDX-License-Identifier: GPL-3.0-or-later
"""A cluster of somebody else, as the environment tells of it."""

from __future__ import annotations

from ipaddress import IPv4Address
from pathlib import Path

import pytest

from tests.sandbox.cluster import state
from tests.sandbox.errors import SandboxError


@pytest.fixture(autouse=True)
def kubeconfig(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("FANOUT_TEST_KUBECONFIG", str(tmp_path / "kubeconfig"))
    monkeypatch.delenv("FANOUT_TEST_MACHINE", raising=False)
    return tmp_path / "kubeconfig"


def test_a_cluster_of_somebody_else_is_taken_to_run_elsewhere(kubeconfig: Path) -> None:
    assert (state.load().kubeconfig, state.load().machine) == (kubeconfig, "")


@pytest.mark.parametrize("address", ["10.42.0.1", "172.18.0.1"])
def test_it_runs_here_if_its_pods_reach_this_machine_at_a_private_address(
    monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    monkeypatch.setenv("FANOUT_TEST_MACHINE", address)

    assert state.load().machine == address


@pytest.mark.parametrize("address", [str(IPv4Address(0)), "127.0.0.1", "8.8.8.8", "::", "localhost"])
def test_an_address_that_others_may_reach_or_pods_cannot_is_refused(
    monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    monkeypatch.setenv("FANOUT_TEST_MACHINE", address)

    with pytest.raises(SandboxError, match=f"FANOUT_TEST_MACHINE is '{address}', which is no private IPv4 address"):
        state.load()
