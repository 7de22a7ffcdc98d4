# SPDX-License-Identifier: GPL-3.0-or-later
"""The stand-in for Backblaze, for pods: they reach what stores, and nobody else reaches it."""

from __future__ import annotations

import socket
import urllib.parse

import pytest

from tests.sandbox.cluster.access import Access
from tests.sandbox.cluster.pods import restricted
from tests.support.account import Account

_ASK = """
import sys, urllib.error, urllib.request
try:
    urllib.request.urlopen(sys.argv[1], timeout=10)
except urllib.error.HTTPError as error:
    print(error.code)
"""


def test_pods_reach_its_s3_api_by_the_address_that_it_tells(
    access: Access, namespace: str, b2_for_pods: Account
) -> None:
    endpoint = b2_for_pods.client.account().s3_endpoint
    assert endpoint == b2_for_pods.state["s3_endpoint"]

    spec = restricted(access.cluster.images.runner, "python3", "-c", _ASK, endpoint)
    template = {"spec": spec}
    access.batch.create_namespaced_job(
        namespace, {"metadata": {"name": "ask"}, "spec": {"backoffLimit": 0, "template": template}}
    )

    assert access.finished_job(namespace, "ask").output == "403\n", "it is there, and wants a signature"


def test_it_listens_on_the_cluster_s_link_and_on_loopback_and_nowhere_else(
    access: Access, b2_for_pods: Account
) -> None:
    s3, native = (urllib.parse.urlsplit(b2_for_pods.state[name]) for name in ("s3_endpoint", "api_url"))

    assert (s3.hostname, native.hostname) == (access.cluster.machine, "127.0.0.1")
    for port, other in ((s3.port, "127.0.0.1"), (native.port, access.cluster.machine)):
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection((other, port), timeout=10).close()
