# SPDX-License-Identifier: GPL-3.0-or-later
"""Putting the fake into a cluster: kinds, settings, a node, webhooks and the Service of the UI. And taking it out.

Kinds and namespace stay, as long as the cluster does: removing them would take longer than all tests. Objects and
webhooks go, or nothing could be written once the fake is gone.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path

import yaml

from ..cluster.access import until
from .api import LONGHORN, Api, ApiError, Object
from .world import NODE

NAMESPACE = "longhorn-system"
_KINDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
_WEBHOOKS = "/apis/admissionregistration.k8s.io/v1"
_SNAPSHOTS = "snapshot.storage.k8s.io"
_SETTINGS = {
    "recurring-job-max-retention": "100",
    "allow-recurring-job-while-volume-detached": "false",
    # Since 1.10 some settings have a value for each engine.
    "remove-snapshots-during-filesystem-trim": '{"v1":"false"}',
    "disable-snapshot-purge": "false",
}


def install(api: Api, webhook_url: str, authority: Path) -> None:
    """Have kinds, namespace, settings, node, StorageClass and webhooks."""
    kinds = (*_kinds_of_longhorn(), *_kinds_of_snapshots())
    for kind in kinds:
        api.apply(f"{_KINDS}/{kind['metadata']['name']}", kind)
    until("Longhorn's kinds are served", lambda: all(_is_served(api, kind) for kind in kinds))
    api.apply(f"/api/v1/namespaces/{NAMESPACE}", _named("v1", "Namespace", NAMESPACE))
    api.apply(
        "/apis/storage.k8s.io/v1/storageclasses/longhorn",
        {
            **_named("storage.k8s.io/v1", "StorageClass", "longhorn"),
            "provisioner": "driver.longhorn.io",
            "reclaimPolicy": "Retain",
            "volumeBindingMode": "Immediate",
        },
    )
    for name, value in _SETTINGS.items():
        set_setting(api, name, value)
    api.apply(f"{LONGHORN}/nodes/{NODE}", {**_named("longhorn.io/v1beta2", "Node", NODE), "spec": {"name": NODE}})
    set_node_ready(api, ready=True)
    install_hooks(api, webhook_url, authority)


def install_hooks(api: Api, url: str, authority: Path) -> None:
    """Have the API server ask a server at `url` before it writes objects of Longhorn's."""
    for name, path in (("mutator", "mutate"), ("validator", "validate")):
        _hook(api, name, f"{url}/{path}", authority)


def _kinds_of_longhorn() -> Iterator[Object]:
    for file in sorted((Path(__file__).parent / "crds").glob("*.longhorn.io.yaml")):
        yield yaml.safe_load(file.read_text())


def _kinds_of_snapshots() -> Iterator[Object]:
    """What a snapshot controller brings, as much of it as a clone uses."""
    yield from yaml.safe_load_all((Path(__file__).parent / "crds/snapshots-of-csi.yaml").read_text())


def _is_served(api: Api, kind: Object) -> bool:
    """Whether the API server answers for a kind, which it does some time after it has taken its definition."""
    spec = kind["spec"]
    (version,) = (version["name"] for version in spec["versions"] if version["storage"])
    return api.find(f"/apis/{spec['group']}/{version}/{spec['names']['plural']}") is not None


def set_setting(api: Api, name: str, value: str) -> None:
    """Set one of Longhorn's settings."""
    api.apply(f"{LONGHORN}/settings/{name}", {**_named("longhorn.io/v1beta2", "Setting", name), "value": value})


def set_node_ready(api: Api, *, ready: bool) -> None:
    """Say whether Longhorn's only node is ready."""
    condition = {
        "type": "Ready",
        "status": str(ready),
        "reason": "",
        "message": "",
        "lastProbeTime": "",
        "lastTransitionTime": "",
    }
    api.patch(f"{LONGHORN}/nodes/{NODE}/status", {"status": {"conditions": [condition]}})


def _hook(api: Api, name: str, url: str, authority: Path) -> None:
    kind = "MutatingWebhookConfiguration" if name == "mutator" else "ValidatingWebhookConfiguration"
    hook = {
        "name": f"{name}.longhorn.io",
        "clientConfig": {"url": url, "caBundle": base64.b64encode(authority.read_bytes()).decode()},
        "rules": [
            {
                "apiGroups": ["longhorn.io"],
                "apiVersions": ["v1beta2"],
                "resources": ["recurringjobs", "snapshots", "volumes"],
                "operations": ["CREATE", "UPDATE"],
                "scope": "Namespaced",
            }
        ],
        "failurePolicy": "Fail",
        "sideEffects": "None",
        "matchPolicy": "Exact",
        "admissionReviewVersions": ["v1"],
    }
    plural = f"{kind.lower()}s"
    name = f"longhorn-webhook-{name}"
    api.apply(
        f"{_WEBHOOKS}/{plural}/{name}",
        {**_named("admissionregistration.k8s.io/v1", kind, name), "webhooks": [hook]},
    )


def serve_frontend(api: Api, address: str, port: int) -> None:
    """Have the Service of the UI lead to a server outside of the cluster. Without a port, no UI runs."""
    service = f"/api/v1/namespaces/{NAMESPACE}/services/longhorn-frontend"
    api.apply(
        service,
        {
            **_named("v1", "Service", "longhorn-frontend"),
            "spec": {"ports": [{"name": "http", "port": 80, "targetPort": port or 80}]},
        },
    )
    # The API server's proxy reads the older kind, and calls only addresses of pods: so there is one that nobody starts.
    pod = f"/api/v1/namespaces/{NAMESPACE}/pods/longhorn-ui"
    if not api.find(pod):
        container = {"name": "longhorn-ui", "image": "none"}
        spec = {"schedulerName": "none", "containers": [container], "tolerations": []}
        api.create(pod.rpartition("/")[0], {**_named("v1", "Pod", "longhorn-ui"), "spec": spec})
        running = {"phase": "Running", "podIP": address, "podIPs": [{"ip": address}]}
        api.patch(f"{pod}/status", {"status": running})
    reference = {"kind": "Pod", "namespace": NAMESPACE, "name": "longhorn-ui"}
    addresses = [{"ip": address, "targetRef": reference}]
    subsets = [{"addresses": addresses, "ports": [{"name": "http", "port": port}]}] if port else []
    path = f"/api/v1/namespaces/{NAMESPACE}/endpoints/longhorn-frontend"
    api.apply(path, {**_named("v1", "Endpoints", "longhorn-frontend"), "subsets": subsets})


def remove_hooks(api: Api) -> None:
    """Let objects of Longhorn's kinds be written without the fake."""
    for plural, name in (
        ("mutatingwebhookconfigurations", "mutator"),
        ("validatingwebhookconfigurations", "validator"),
    ):
        api.delete(f"{_WEBHOOKS}/{plural}/longhorn-webhook-{name}")


def remove_objects(api: Api) -> None:
    """Remove all objects of Longhorn's and of CSI's snapshots, and the PersistentVolumes of the fake."""
    for plural in ("volumesnapshotcontents", "volumesnapshotclasses"):
        _remove_all(api, f"/apis/{_SNAPSHOTS}/v1/{plural}")
    for plural in ("recurringjobs", "snapshots", "volumeattachments", "volumes"):
        _remove_all(api, f"{LONGHORN}/{plural}")
    api.delete(f"/api/v1/persistentvolumes?labelSelector={'fanout-test%3Dlonghorn'}")


def _remove_all(api: Api, path: str) -> None:
    try:
        found = api.items(path)
    except ApiError as error:
        if error.status == 404:
            return
        raise
    for one in found:
        where = f"{path}/{one['metadata']['name']}"
        if one["metadata"].get("finalizers"):
            api.patch(where, {"metadata": {"finalizers": None}})
        api.delete(where)


def _named(version: str, kind: str, name: str) -> Object:
    metadata: Object = {"name": name}
    return {"apiVersion": version, "kind": kind, "metadata": metadata}
