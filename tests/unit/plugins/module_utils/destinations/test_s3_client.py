# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from fanout.contract.errors import BackupError, ConfigurationError, NoPermission, TryAgain, Unavailable
from fanout.contract.key_file import StoredKey
from fanout.destinations.b2 import B2Bucket
from fanout.destinations.retry import Patience
from fanout.destinations.s3 import S3Bucket
from fanout.destinations.s3_client import Connection
from fanout.destinations.s3_upload import send_in_parts

from .conftest import DUMP, HASTY, MANIFEST, MIB, Lab

Treatment = Callable[[socket.socket, threading.Event], None]


@contextlib.contextmanager
def server(treat: Treatment) -> Iterator[str]:
    """Listen on a real socket, and treat every connection as a broken or hostile server would."""
    stop = threading.Event()
    threads: list[threading.Thread] = []

    def accept() -> None:
        while not stop.is_set():
            with contextlib.suppress(OSError):
                connection, _ = listener.accept()
                thread = threading.Thread(target=handle, args=(connection,))
                thread.start()
                threads.append(thread)

    def handle(connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            treat(connection, stop)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0.1)
        accepting = threading.Thread(target=accept)
        accepting.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            stop.set()
            for thread in (accepting, *threads):
                thread.join()


def hang(_: socket.socket, stop: threading.Event) -> None:
    stop.wait(30)


def close_at_once(connection: socket.socket, _: threading.Event) -> None:
    connection.recv(10)


def speak_nonsense(connection: socket.socket, _: threading.Event) -> None:
    connection.recv(1 << 16)
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\nConnection: close\r\n\r\n<p>Hello!")


def speak_html(connection: socket.socket, _: threading.Event) -> None:
    connection.recv(1 << 16)
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 19\r\nConnection: close\r\n\r\n<html>Log in</html>")


def read_slowly(connection: socket.socket, stop: threading.Event) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.recv(100)
    connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
    while not stop.wait(0.01) and connection.recv(4096):
        pass


@pytest.mark.parametrize(
    ("treat", "says"),
    [(hang, "no answer in time"), (close_at_once, "Connection"), (speak_nonsense, "cannot serve now")],
)
def test_a_server_that_does_not_speak_s3_is_unavailable_and_named(key: StoredKey, treat: Treatment, says: str) -> None:
    began = time.monotonic()
    with server(treat) as url, pytest.raises(Unavailable, match=says) as failed:
        S3Bucket(replace(key, endpoint=url), patience=replace(HASTY, tries=20, pause=0)).check()

    assert url.removeprefix("http://") in str(failed.value)
    assert time.monotonic() - began < 10 * HASTY.read, "silence is not waited for twenty times"


def test_a_web_page_is_no_empty_bucket(key: StoredKey) -> None:
    with server(speak_html) as url:
        bucket = S3Bucket(replace(key, endpoint=url), patience=HASTY)
        for act in (bucket.check, bucket.list, bucket.versions):
            with pytest.raises(ConfigurationError, match="is not an S3 server"):
                act()


def test_an_upload_to_a_slow_server_ends_at_the_deadline(key: StoredKey, make_file) -> None:
    file, sha256 = make_file(7 * MIB)  # takes half a minute at this speed
    deadline = time.monotonic() + 1

    with server(read_slowly) as url, pytest.raises(TryAgain, match="deadline"):
        S3Bucket(replace(key, endpoint=url), patience=Patience(deadline=deadline)).put(DUMP, file, sha256=sha256)

    assert time.monotonic() < deadline + 20


def test_an_interrupted_upload_does_not_wait_for_what_is_still_being_sent(key: StoredKey) -> None:
    sending = threading.Event()

    def take_slowly(connection: socket.socket, stop: threading.Event) -> None:
        request = connection.recv(1 << 16)
        if request.startswith(b"PUT"):
            sending.set()
            read_slowly(connection, stop)
        elif request.startswith(b"POST"):
            body = b"<InitiateMultipartUploadResult><UploadId>1</UploadId></InitiateMultipartUploadResult>"
            connection.sendall(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        else:
            connection.sendall(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")

    def parts() -> Iterator[bytes]:
        yield b"x" * 40 * MIB
        assert sending.wait(10)
        raise KeyboardInterrupt

    began = time.monotonic()
    with server(take_slowly) as url, pytest.raises(KeyboardInterrupt):
        send_in_parts(Connection(replace(key, endpoint=url), Patience()), DUMP, parts(), 80 * MIB)
    assert time.monotonic() - began < 60, "80 MiB would take minutes"


def test_a_server_that_hangs_in_the_middle_of_an_upload_is_unavailable(lab: Lab, key: StoredKey, make_file) -> None:
    file, sha256 = make_file(20 * MIB)
    lab.control.fault("hang", operation="UploadPart", count=0, skip=1)
    lab.control.fault("hang", operation="AbortMultipartUpload", count=0)

    with pytest.raises(Unavailable, match="no answer in time"):
        B2Bucket(key, patience=replace(HASTY, tries=20, pause=0)).put(DUMP, file, sha256=sha256)
    assert lab.control.faults()[0]["hits"] <= 3 * HASTY.silent_tries, "each of three parts is given up soon"


def test_a_server_that_stays_down_is_given_up_after_a_few_tries(lab: Lab, bucket: B2Bucket) -> None:
    lab.control.fault("error", count=0, status=503, code="ServiceUnavailable", message="no tomes available")

    with pytest.raises(Unavailable, match="no tomes available"):
        bucket.check()
    assert lab.control.faults()[0]["hits"] == HASTY.tries


def test_no_request_is_sent_after_the_deadline(lab: Lab, key: StoredKey) -> None:
    lab.control.reset()

    with pytest.raises(TryAgain):
        B2Bucket(key, patience=Patience(deadline=time.monotonic() - 1)).list()
    assert lab.control.counters() == {}


def test_no_try_begins_after_the_deadline(lab: Lab, key: StoredKey) -> None:
    lab.control.fault("error", count=0, status=503, code="ServiceUnavailable")
    patience = Patience(pause=1200, deadline=time.monotonic() + 300)

    with pytest.raises(Unavailable):
        B2Bucket(key, patience=patience).check()
    assert time.monotonic() < patience.deadline, "the pause that would outlast the deadline is not begun"


@pytest.mark.parametrize(
    ("change", "wanted", "says"),
    [
        ({"secret": "K004wrong"}, NoPermission, "secret does not belong to this key"),
        ({"key_id": "0040000000000000000000099"}, NoPermission, "unknown, deleted, expired"),
        ({"prefix": "nextcloud/"}, NoPermission, "not entitled"),
        ({"bucket": "other"}, NoPermission, "not entitled"),
        ({"bucket": "No Bucket"}, ConfigurationError, "endpoint, region and bucket"),
        ({"endpoint": "127.0.0.1"}, ConfigurationError, "not a valid endpoint"),
        ({"endpoint": "http://127.0.0.1:9"}, Unavailable, "Connection refused"),
        ({"endpoint": "http://nowhere.invalid"}, Unavailable, "nowhere.invalid does not answer"),
    ],
)
def test_a_wrong_key_or_place_is_named(key: StoredKey, change: dict[str, str], wanted: type, says: str) -> None:
    wrong = replace(key, **change)

    with pytest.raises(BackupError, match=says) as refused:
        B2Bucket(wrong, patience=HASTY).check()

    assert isinstance(refused.value, wanted)
    assert wrong.secret not in str(refused.value)


def test_the_master_key_is_told_apart(lab: Lab, key: StoredKey) -> None:
    master = replace(key, key_id=lab.state["master_key_id"], secret=lab.state["master_key"])

    with pytest.raises(NoPermission, match="use an application key"):
        B2Bucket(master, patience=HASTY).check()


def test_a_client_depends_on_no_file_and_no_profile_of_its_user(
    bucket: B2Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "config").write_text("[default]\nregion = nowhere\ns3 =\n  addressing_style = virtual\n")
    monkeypatch.setenv("AWS_PROFILE", "missing")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_REQUEST_CHECKSUM_CALCULATION", "when_supported")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "50")

    assert bucket.put_bytes(MANIFEST, b"{}").size == 2
