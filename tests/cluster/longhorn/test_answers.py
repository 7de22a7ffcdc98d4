# SPDX-License-Identifier: GPL-3.0-or-later
"""What the library believes of Longhorn: answers that were measured on the control plane of 1.12.1. A fake that gives
others proves nothing; on a real Longhorn, these are the first to fail if it has changed."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from typing import Any

import pytest

from tests.sandbox.cluster.access import Access, until
from tests.sandbox.longhorn.api import LONGHORN, Api, ApiError, Object
from tests.sandbox.longhorn.fake import Fake

from .servers import DatabaseServer

FRONTEND = "/api/v1/namespaces/longhorn-system/services/http:longhorn-frontend:80/proxy/v1/volumes"
VERSION = "longhorn.io/v1beta2"


@pytest.fixture
def api(access: Access, the_fake: Fake | None) -> Api:
    return Api(access.core.api_client)


@pytest.fixture
def name(api: Api) -> Iterator[str]:
    """The name of an object of this test."""
    name = f"t{secrets.token_hex(4)}"
    yield name
    for kind in ("recurringjobs", "snapshots"):
        api.delete(f"{LONGHORN}/{kind}/{name}")


def job(called: str, **spec: Any) -> Object:
    given = {"name": called, "task": "snapshot", "cron": "0 * * * *", "retain": 1, "concurrency": 1, **spec}
    return {"apiVersion": VERSION, "kind": "RecurringJob", "metadata": {"name": called}, "spec": given}


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ({"retain": 200}, "retain value should be less than or equal to 100"),
        ({"name": "n" * 41}, f"job name {'n' * 41} must be 40 characters or less"),
        ({"cron": "99 * * * *"}, "invalid cron format(99 * * * *): End of range (99) above maximum (59): 99"),
        ({"labels": {"a": ""}}, "value for label with key a cannot be empty"),
        (
            {"task": "backup", "parameters": {"foo": "1"}},
            "failed to validate recurring job backup task parameters: foo:1 is not a valid parameter",
        ),
    ],
)
@pytest.mark.parametrize("query", ["", "?dryRun=All"])
def test_a_recurring_job_is_refused_in_these_words_also_in_a_dry_run(
    api: Api, name: str, spec: dict[str, Any], words: str, query: str
) -> None:
    with pytest.raises(ApiError) as refused:
        api.create(f"{LONGHORN}/recurringjobs{query}", job(name, **spec))

    assert refused.value.status == 422
    assert refused.value.body["reason"] == "Invalid"
    assert refused.value.body["message"] == f'admission webhook "validator.longhorn.io" denied the request: {words}'
    assert refused.value.body["details"]["causes"] == [{"reason": "FieldValueInvalid", "message": words}]


def test_a_name_of_one_character_is_refused_and_one_with_a_dot_is_not(api: Api, name: str) -> None:
    with pytest.raises(ApiError, match="invalid name a"):
        api.create(f"{LONGHORN}/recurringjobs", job("a"))
    dotted = f"{name}.dot"
    try:
        assert api.create(f"{LONGHORN}/recurringjobs", job(dotted))["metadata"]["name"] == dotted
    finally:
        api.delete(f"{LONGHORN}/recurringjobs/{dotted}")


def test_what_is_left_out_is_filled_in_and_what_is_too_little_is_raised(api: Api, name: str) -> None:
    made = api.create(f"{LONGHORN}/recurringjobs", job(name, name="", retain=0, concurrency=0))["spec"]

    assert (made["name"], made["retain"], made["concurrency"]) == (name, 1, 10)
    assert (made["groups"], made["labels"], made["parameters"]) == ([], {}, {})


def test_a_field_that_does_not_exist_is_refused_by_the_api_server_itself(api: Api, name: str) -> None:
    with pytest.raises(ApiError, match=r"\.spec\.bogus: field not declared in schema"):
        api.apply(f"{LONGHORN}/recurringjobs/{name}", job(name, bogus=1))


def test_a_snapshot_of_an_unknown_volume_is_refused(api: Api, name: str) -> None:
    with pytest.raises(ApiError, match=r'failed to get volume nope: volume\.longhorn\.io "nope" not found'):
        api.create(f"{LONGHORN}/snapshots", snapshot(name, "nope"))


def snapshot(name: str, volume: str) -> Object:
    spec = {"volume": volume, "createSnapshot": True}
    return {"apiVersion": VERSION, "kind": "Snapshot", "metadata": {"name": name}, "spec": spec}


def test_a_snapshot_gets_its_volume_s_label_owner_and_a_finalizer_and_never_another_volume(
    server: DatabaseServer, name: str
) -> None:
    made = server.api.create(f"{LONGHORN}/snapshots", snapshot(name, server.volume))["metadata"]

    assert made["labels"]["longhornvolume"] == server.volume
    assert made["ownerReferences"][0]["name"] == server.volume
    assert made["finalizers"]
    with pytest.raises(ApiError, match="immutable"):
        server.api.patch(f"{LONGHORN}/snapshots/{name}", {"spec": {"volume": "another"}})
    status = until("it is taken", lambda: ready_status(server, name))
    assert status["creationTime"].endswith("Z")
    assert status["restoreSize"] == int(server.longhorn("volumes")["spec"]["size"])


def ready_status(server: DatabaseServer, name: str) -> Object | None:
    """What a snapshot says once it can be used."""
    status: Object = server.longhorn("snapshots", name).get("status") or {}
    return status if status.get("readyToUse") else None


def test_rest_says_no_in_these_words(server: DatabaseServer) -> None:
    def refusal(action: str, body: Object) -> str:
        try:
            server.api.request("POST", f"{FRONTEND}/{server.volume}?action={action}", body)
        except ApiError as refused:
            return f"{refused.status} {refused.body['type']} {refused.body['message']}"
        return ""

    words = f"failed to revert snapshot for volume {server.volume} with frontend enabled"
    assert refusal("snapshotRevert", {"name": "any"}).startswith("500 error ")
    assert words in refusal("snapshotRevert", {"name": "any"})
    server.scale(0)
    # A controller may attach it once more for a moment, for work of its own.
    for action in ("snapshotList", "snapshotCreate"):
        until(f"{action} is refused", lambda action=action: "engine is not running" in refusal(action, {}))
    unknown = {"attachmentID": "nobody-has-this-one"}
    server.api.request("POST", f"{FRONTEND}/{server.volume}?action=detach", unknown)  # no error


def test_the_ticket_of_the_highest_priority_gets_a_detached_volume_and_the_others_wait(
    server: DatabaseServer, fake: Fake
) -> None:
    server.scale(0)
    until("it is detached", lambda: server.longhorn("volumes")["status"]["state"] == "detached")
    fake.world.faults.attach_never = True
    fake.ticket(server.volume, "csi", "another-node", kind="csi-attacher")
    fake.ticket(server.volume, "api", "fanout-test-node")
    fake.world.faults.attach_never = False

    def satisfied() -> set[str]:
        found = server.longhorn("volumeattachments").get("status", {}).get("attachmentTicketStatuses") or {}
        return {ticket for ticket, status in found.items() if status["satisfied"]}

    until("one of them has it", lambda: satisfied() == {"api"})
    assert server.longhorn("volumes")["status"]["currentNodeID"] == "fanout-test-node"
