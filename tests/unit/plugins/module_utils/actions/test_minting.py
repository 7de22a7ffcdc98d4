# SPDX-License-Identifier: GPL-3.0-or-later
"""What the stand-in cannot show of minting. The rest is told in tests/end_to_end/test_keys.py."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from fanout.actions.minting import CAPABILITIES, KeySpec, RollOut, ensure, key_base
from fanout.b2.application_keys import Key, Scope
from fanout.b2.transport import Answer
from fanout.contract.errors import DataRefused
from fanout.contract.key_file import WRITER_CAPABILITIES
from fanout.platforms.host.key_store import FileStore
from tests.support.names import to

from ..b2.scripted import Scripted, client_of, session

SPEC = KeySpec("fanout-forgejo-b2", "backups", "4a48", "forgejo/", "https://s3.us-west-004.backblazeb2.com")
NONE = Answer(200, {"keys": [], "nextApplicationKeyId": None})


@pytest.mark.parametrize(
    ("difference", "words"),
    [
        ({"namePrefix": "forgejo"}, "prefix"),
        ({"namePrefix": None}, "prefix"),
        ({"bucketId": None}, "bucket"),
        ({"capabilities": [*WRITER_CAPABILITIES, "deleteFiles"]}, "set of capabilities"),
        ({"keyName": "fanout-other-b2-1"}, "name"),
    ],
)
def test_a_key_other_than_the_one_asked_for_is_deleted_and_not_kept(
    tmp_path: Path, difference: dict[str, Any], words: str
) -> None:
    secrets: list[str] = []

    class Deviant(Scripted):
        def send(self, url: str, authorization: str, body: Any) -> Answer:
            answer = super().send(url, authorization, body)
            if url.endswith("b2_create_key"):
                created = {**body, "applicationKeyId": "0041", "applicationKey": "K004-very-secret", **difference}
                return Answer(200, created)
            return answer

    transport = Deviant(session("token", *CAPABILITIES), NONE, NONE, NONE, Answer(200, {}))
    store = FileStore(tmp_path / "key.json")

    with pytest.raises(DataRefused, match=f"whose {words} differs"):
        ensure(client_of(transport), SPEC, store, RollOut(1_700_000_000, 60, hide=secrets.append))

    url, _token, body = transport.calls[-1]
    assert (url.rpartition("/")[2], body) == ("b2_delete_key", {"applicationKeyId": "0041"})
    assert store.read().current is None
    assert secrets == ["K004-very-secret"]


@pytest.mark.parametrize(
    ("name", "bucket", "prefix", "ours"),
    [
        ("fanout-forgejo-b2-202601010000001234", "4a48", "forgejo/", True),
        ("fanout-forgejo-b2-1-202601010000001234", "4a48", "forgejo/", False),
        ("fanout-forgejo-b2-", "4a48", "forgejo/", False),
        ("fanout-forgejo-b2", "4a48", "forgejo/", False),
        ("x-fanout-forgejo-b2-202601010000001234", "4a48", "forgejo/", False),
        ("fanout-forgejo-b2-202601010000001234", "5b59", "forgejo/", False),
        ("fanout-forgejo-b2-202601010000001234", "4a48", "forgejo", False),
    ],
)
def test_a_key_is_ours_by_its_whole_name_its_bucket_and_its_prefix(
    name: str, bucket: str, prefix: str, ours: bool
) -> None:
    assert SPEC.owns(Key("0041", name, Scope((bucket,), prefix, WRITER_CAPABILITIES), 3)) is ours


def test_long_names_fit_and_stay_apart() -> None:
    assert key_base(to("b2")) == "fanout-forgejo-database-b2"
    bases = {key_base(to("b" * 39 + end, "a" * 40)) for end in "xyz"}
    assert len(bases) == 3
    assert all(len(f"{base}-202601010000001234") <= 100 for base in bases)
