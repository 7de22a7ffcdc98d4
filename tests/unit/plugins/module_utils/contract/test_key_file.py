# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from pathlib import Path

import pytest

from fanout.contract.errors import ConfigurationError
from fanout.contract.key_file import (
    WRITER_CAPABILITIES,
    KeyFile,
    Minted,
    RetiringKey,
    StoredKey,
    load_key,
    parse,
    read,
    region_of,
    render,
)

SECRET = "K004-very-secret"
KEY = StoredKey(
    kind="b2",
    key_id="0044c580f6dccce0000000002",
    secret=SECRET,
    endpoint="https://s3.us-west-004.backblazeb2.com",
    region="us-west-004",
    bucket="backups",
    prefix="forgejo/",
    minted=Minted("fanout-forgejo-b2-1", "4a48", WRITER_CAPABILITIES, 3, 1_700_000_000),
)
API = "https://api.backblazeb2.com"


@pytest.mark.parametrize(
    "file",
    [
        KeyFile(api_url=API, current=KEY, retiring=(RetiringKey("004", "fanout-forgejo-b2-0", 3, 1_700_000_000),)),
        KeyFile(api_url=API, pending="fanout-forgejo-b2-2"),
        KeyFile(current=StoredKey("s3", "minio-key", SECRET, "http://nas:9000", "us-east-1", "backups", "forgejo/")),
    ],
)
def test_what_is_written_is_read_back(file: KeyFile) -> None:
    assert parse(render(file).encode(), "key.json") == file


def test_a_secret_shows_in_no_repr() -> None:
    assert SECRET not in repr(KeyFile(current=KEY))


def test_a_key_that_was_never_minted_has_a_remedy(tmp_path: Path) -> None:
    path = tmp_path / "key.json"
    with pytest.raises(ConfigurationError, match=r"no key yet.*run fanout\.backup\.site"):
        load_key(path)
    path.write_text(render(KeyFile(api_url=API, pending="fanout-forgejo-b2-2")))
    with pytest.raises(ConfigurationError, match="no key yet"):
        load_key(path)
    path.write_text(render(KeyFile(current=KEY)))
    assert load_key(path) == KEY


def test_no_file_is_none(tmp_path: Path) -> None:
    assert read(tmp_path / "key.json") is None


@pytest.mark.parametrize(
    "text",
    [
        SECRET,
        f'{{"format": 1, "{SECRET}": 1}}',
        f'{{"format": 1, "pending": ["{SECRET}"]}}',
        render(KeyFile(current=KEY)).replace('"b2"', f'"{SECRET}"'),
        render(KeyFile(current=KEY)).replace('"key_id"', f'"{SECRET}"'),
        f"\xff{SECRET}",
        f'"{SECRET}' + "x" * 70_000,
        "",
        "[]",
    ],
)
def test_an_unusable_file_is_refused_without_any_of_its_content(tmp_path: Path, text: str) -> None:
    path = tmp_path / "key.json"
    path.write_bytes(text.encode("latin-1"))

    with pytest.raises(ConfigurationError) as refusal:
        read(path)

    assert str(path) in str(refusal.value)
    assert SECRET not in str(refusal.value)
    assert refusal.value.__suppress_context__ or refusal.value.__context__ is None


def test_a_newer_format_asks_for_an_update() -> None:
    with pytest.raises(ConfigurationError, match="has format 2, and this version reads up to 1"):
        parse(b'{"format": 2, "vault": "elsewhere"}', "key.json")


@pytest.mark.parametrize(
    ("endpoint", "region"),
    [
        ("https://s3.us-west-004.backblazeb2.com", "us-west-004"),
        ("https://s3.eu-central-003.backblazeb2.com", "eu-central-003"),
        ("http://127.0.0.1:37239", "us-west-004"),
        ("https://s3.eu-central-003.backblazeb2.com.example", "us-west-004"),
    ],
)
def test_the_region_stands_in_backblazes_endpoint(endpoint: str, region: str) -> None:
    assert region_of(endpoint) == region
