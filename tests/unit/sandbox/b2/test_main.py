# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import contextlib
import os
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from botocore.exceptions import ClientError

from tests.sandbox.b2.account import Account
from tests.sandbox.b2.client import CHECKOUT, Control, running

from .conftest import Bench


def test_the_state_file_is_readable_by_its_owner_only(tmp_path: Path) -> None:
    with running(tmp_path):
        (state,) = tmp_path.iterdir()
        assert stat.S_IMODE(state.stat().st_mode) == 0o600


def test_a_bucket_made_at_the_start_purges_what_is_hidden(tmp_path: Path) -> None:
    with running(tmp_path, "--bucket", "backups") as state:
        account = Account(state["api_url"], state["application_key_id"], state["application_key"])
        account.authorize()
        (bucket,) = account.call("b2_list_buckets")["buckets"]
    assert bucket["bucketName"] == "backups"
    (rule,) = bucket["lifecycleRules"]
    assert (rule["fileNamePrefix"], rule["daysFromHidingToDeleting"] > 0) == ("", True)
    assert rule["daysFromUploadingToHiding"] is None


def test_it_listens_on_the_loopback_interface_only(state: dict[str, Any]) -> None:
    for name in ("api_url", "s3_endpoint"):
        url = urlsplit(state[name])
        assert url.hostname == "127.0.0.1"
        with socket.socket() as other, pytest.raises(ConnectionRefusedError):
            other.connect(("127.0.0.2", url.port or 0))


def test_without_a_cluster_of_ours_it_serves_no_pods(tmp_path: Path) -> None:
    command = (sys.executable, "-m", "tests.sandbox.b2", "--cluster", "--state-file", tmp_path / "b2.json")
    environment = {**os.environ, "FANOUT_TEST_KUBECONFIG": str(tmp_path / "kubeconfig")}

    done = subprocess.run(
        command, cwd=CHECKOUT, env=environment, capture_output=True, text=True, timeout=60, check=False
    )

    assert done.returncode == 1
    assert done.stderr == (
        "b2: pods of a cluster that is not ours do not reach the stand-in."
        " Remedy: set FANOUT_TEST_MACHINE, or unset FANOUT_TEST_KUBECONFIG: see CONTRIBUTING.md\n"
    )


def test_sigterm_ends_it_even_while_a_request_hangs(tmp_path: Path) -> None:
    with running(tmp_path) as state:
        control = Control(state["control_url"])
        control.fault("hang", operation="b2_authorize_account")
        account = Account(state["api_url"], state["application_key_id"], state["application_key"])

        def hanging() -> None:
            with contextlib.suppress(OSError):
                account.authorize()

        thread = threading.Thread(target=hanging)
        thread.start()
        while not control.faults()[0]["hits"]:
            time.sleep(0.01)
        start = time.monotonic()
        os.kill(state["pid"], signal.SIGTERM)
        thread.join(30)
    assert time.monotonic() - start < 10


def test_the_master_key_works_natively_but_not_for_s3(bench: Bench) -> None:
    state = bench.state
    account = Account(state["api_url"], state["master_key_id"], state["master_key"])
    account.authorize()
    assert state["master_key_id"] not in {key["applicationKeyId"] for key in account.call("b2_list_keys")["keys"]}
    with pytest.raises(ClientError, match="Malformed Access Key Id"):
        account.s3(account.key_id, account.key).list_buckets()
