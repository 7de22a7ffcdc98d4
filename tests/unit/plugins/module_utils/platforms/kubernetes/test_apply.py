# SPDX-License-Identifier: GPL-3.0-or-later
"""What is sent to the server, what is left alone, and what a user sees of it."""

from __future__ import annotations

import base64
import copy
from typing import Any

import pytest

from fanout.contract.errors import ConfigurationError
from fanout.k8s.cluster import Missing
from fanout.k8s.resources import Manifest
from fanout.platforms.kubernetes.apply import applied, shown
from fanout.platforms.kubernetes.objects import COLUMN, KEY_OF
from tests.support.scripted_cluster import Scripted, cluster, path, refusal

OURS = [{"manager": "fanout.backup"}]


def wanted(kind: str = "ConfigMap", **fields: Any) -> Manifest:
    metadata = {"name": "forgejo-database-b2", "namespace": "backup-forgejo", "labels": {COLUMN: "forgejo"}}
    return {"apiVersion": "v1", "kind": kind, "metadata": metadata, **fields}


def apply(live: Manifest | None, want: Manifest, *, dry_run: bool = False) -> tuple[Manifest, list[tuple[str, str]]]:
    """The object afterwards, and the requests that it took."""
    server = Scripted()
    after = applied(cluster(server), live, want, dry_run=dry_run, force=False)
    return after, server.writes


def as_served(sent: Manifest, **fields: Any) -> Manifest:
    """As the server gives it back: with its own fields, and defaults."""
    live = copy.deepcopy(sent) | fields
    live["metadata"] |= {"uid": "an-id", "resourceVersion": "7", "managedFields": OURS}
    return live


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def test_what_is_there_already_is_not_sent_again_whatever_the_server_added() -> None:
    want = wanted(spec={"list": [{"name": "a", "empty": {}, "none": []}], "absent": {}})
    sent, writes = apply(None, want)
    assert writes == [("PATCH", path(want))]

    live = as_served(sent, spec={"list": [{"name": "a", "default": 5}], "policy": "Always"}, status={"ready": 1})

    assert apply(live, want) == (live, [])


@pytest.mark.parametrize(
    "changed",
    [
        {"spec": {"list": ["a", "c"]}},
        {"spec": {"list": ["a"]}},
        {"spec": {"list": ["a", "b"], "more": 1}},
        {"spec": {}},  # what we no longer want has to go, and everything that we do is there
    ],
)
def test_whatever_differs_from_what_was_sent_last_is_sent(changed: dict[str, Any]) -> None:
    live = as_served(apply(None, wanted(spec={"list": ["a", "b"]}))[0])
    want = wanted(**changed)
    assert apply(live, want)[1] == [("PATCH", path(want))]


def test_what_somebody_else_changed_or_added_is_sent_again() -> None:
    for ours, theirs in (("5 * * * *", "1 1 * * *"), (["a"], ["a", "b"]), (["a"], []), ({"a": 1}, None)):
        sent, _ = apply(None, wanted(spec=ours))
        assert apply(as_served(sent, spec=theirs), wanted(spec=ours))[1], theirs


def test_the_note_of_what_was_sent_tells_nothing_about_a_password() -> None:
    first, second = (apply(None, wanted("Secret", data={"password": encoded(text)}))[0] for text in ("one", "two"))
    assert first["metadata"]["annotations"] == second["metadata"]["annotations"]
    assert apply(as_served(first), wanted("Secret", data={"password": encoded("two")}))[1], "it is sent all the same"


def test_an_object_of_somebody_else_or_of_another_column_is_left_alone() -> None:
    theirs = wanted()
    theirs["metadata"] = theirs["metadata"] | {"labels": {}}
    with pytest.raises(ConfigurationError, match="ConfigMap backup-forgejo/forgejo-database-b2 is none of ours"):
        apply(theirs, wanted())
    theirs["metadata"]["labels"] = {COLUMN: "gitlab"}
    with pytest.raises(ConfigurationError, match="belongs to the column gitlab"):
        apply(theirs, wanted())


def test_an_object_of_ours_that_lost_its_label_gets_it_back() -> None:
    live = as_served(apply(None, wanted())[0])
    live["metadata"]["labels"] = {}
    assert apply(live, wanted())[0]["metadata"]["labels"] == {COLUMN: "forgejo"}


def test_a_namespace_is_anybodys() -> None:
    want = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "backup-forgejo", "labels": {"a": "b"}}}
    assert apply({"kind": "Namespace", "metadata": {"name": "backup-forgejo"}}, want)[1]


def test_a_key_of_backblaze_is_not_made_one_of_another_store() -> None:
    minted = wanted("Secret")
    minted["metadata"] = minted["metadata"] | {"labels": {KEY_OF: "forgejo"}, "managedFields": OURS}
    with pytest.raises(ConfigurationError, match="holds a key of Backblaze B2") as refused:
        apply(minted, wanted("Secret"))
    assert "run b2_application_key first" in refused.value.remedy


def test_in_check_mode_a_namespace_that_is_still_to_be_made_is_no_obstacle() -> None:
    server = Scripted()
    server.answers["PATCH", path(wanted())] = refusal(404, 'namespaces "backup-forgejo" not found')
    assert applied(cluster(server), None, wanted(), dry_run=True, force=False) == wanted()
    with pytest.raises(Missing):
        applied(cluster(server), None, wanted(), dry_run=False, force=False)


def test_a_user_sees_neither_the_servers_noise_nor_our_note_nor_a_secret() -> None:
    live = as_served(apply(None, wanted("Secret", data={"kept": encoded("a"), "other": encoded("b")}))[0], status={})
    live["metadata"]["annotations"]["mine"] = "seen"
    after = copy.deepcopy(live)
    after["data"] = {"kept": encoded("a"), "other": encoded("c"), "new": encoded("d")}
    key = ("Secret", "forgejo-database-b2")

    (name, told), *_others = shown({key: after}, {key: live}).items()

    assert name == "Secret forgejo-database-b2"
    assert told == {
        "metadata": {**wanted()["metadata"], "annotations": {"mine": "seen"}},
        "data": {"kept": "<set>", "other": "<changed>", "new": "<set>"},
    }
    assert after["data"]["new"] == encoded("d"), "what is shown is a copy"


def test_json_in_a_config_map_is_shown_as_what_it_says() -> None:
    told = shown({("ConfigMap", "x"): wanted(data={"thread.json": '{"app": "forgejo"}', "passwd": "a\nb\n"})}, {})
    assert told["ConfigMap x"]["data"] == {"thread.json": {"app": "forgejo"}, "passwd": ["a", "b"]}  # type: ignore[index]
