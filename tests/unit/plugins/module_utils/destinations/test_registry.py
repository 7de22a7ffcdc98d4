# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from fanout.contract.destination import B2Destination, Destination, DirectoryDestination, S3Destination
from fanout.contract.errors import ConfigurationError
from fanout.contract.key_file import KeyFile, StoredKey, render
from fanout.contract.source import PostgresqlSource
from fanout.contract.thread import Limits, Recipients, Thread
from fanout.destinations.b2 import B2Bucket
from fanout.destinations.directory import Directory
from fanout.destinations.registry import open_destination
from fanout.destinations.s3 import S3Bucket


def thread_to(destination: Destination, key_file: Path | None = None) -> Thread:
    return Thread(
        format=1,
        app="forgejo",
        destination_name="there",
        prefix="forgejo/",
        destination=destination,
        source=PostgresqlSource(name="database", database="forgejo", host="localhost", port=5432, user="forgejo"),
        recipients=Recipients("age1x", ("age1y",)),
        limits=Limits(3600, 86400, 21600, 3600),
        scratch_directory="/var/tmp",
        key_file=None if key_file is None else str(key_file),
    )


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    return tmp_path / "key.json"


def write(file: Path, **changes: str) -> None:
    key = StoredKey("b2", "0041", "secret", "https://s3.example.org", "us-west-004", "backups", "forgejo/")
    file.write_text(render(KeyFile(current=replace(key, **changes))))  # type: ignore[arg-type]


def test_every_kind_opens_without_sending_anything(key_file: Path) -> None:
    write(key_file)
    b2 = open_destination(thread_to(B2Destination("b2", "backups"), key_file))
    write(key_file, kind="s3")
    s3 = open_destination(thread_to(S3Destination("s3", "backups", "https://s3.example.org"), key_file))
    folder = open_destination(thread_to(DirectoryDestination("directory", "/mnt/nas")))

    assert (type(b2), b2.where) == (B2Bucket, "bucket backups under forgejo/")
    assert (type(s3), s3.where) == (S3Bucket, "bucket backups under forgejo/")
    assert (type(folder), folder.where) == (Directory, "/mnt/nas/forgejo")


@pytest.mark.parametrize("change", [{"kind": "s3"}, {"bucket": "other"}, {"prefix": "nextcloud/"}])
def test_a_key_of_another_place_is_refused(key_file: Path, change: dict[str, str]) -> None:
    write(key_file, **change)

    with pytest.raises(ConfigurationError, match=r"but thread\.json is about b2 backups forgejo/") as refused:
        open_destination(thread_to(B2Destination("b2", "backups"), key_file))
    assert "secret" not in str(refused.value)


def test_a_bucket_without_a_key_is_refused(key_file: Path) -> None:
    with pytest.raises(ConfigurationError, match="no key"):
        open_destination(thread_to(B2Destination("b2", "backups"), key_file))
    with pytest.raises(ConfigurationError, match="names no key file"):
        open_destination(thread_to(B2Destination("b2", "backups")))
