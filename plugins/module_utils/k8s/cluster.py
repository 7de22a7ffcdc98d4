# SPDX-License-Identifier: GPL-3.0-or-later
"""What a column does with its cluster: read, apply on the server's side, create, delete. Not found is a value."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..contract.errors import ROLL_OUT, BackupError, ConfigurationError, NoPermission, TryAgain, Unavailable
from ..inventory.column import Column
from .connection import MANAGER, Answer, Connection, open_connection
from .resources import KINDS, Manifest, shown_name

_APPLY = "application/apply-patch+yaml"
_MERGE = "application/merge-patch+json"
_LOG_BYTES = 1 << 22


class Missing(ConfigurationError):
    """What an object belongs into is not there: its namespace."""


class AlreadyExists(TryAgain):
    """The object is there already, or is another one than it was a moment ago."""


class Cluster:
    """One cluster. Methods raise NoPermission naming the verb, ConfigurationError for what the server refuses,
    Unavailable when it does not answer."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def get(self, kind: str, namespace: str, name: str) -> Manifest | None:
        """Return one object, or None."""
        answer = self._connection.request("GET", KINDS[kind].path(namespace, name), {})
        if answer.status == 404:
            return None
        return self._object(answer, kind, namespace, name)

    def list(
        self, kind: str, namespace: str, *, labels: str | None = None, fields: str | None = None
    ) -> list[Manifest]:
        """Return all objects of a kind in a namespace, or those that the selectors choose. A namespace that does not
        exist has none."""
        query = {"labelSelector": labels, "fieldSelector": fields}
        answer = self._connection.request("GET", KINDS[kind].path(namespace), query)
        found = self._object(answer, kind, namespace, "")
        # The items of a list do not say what they are.
        return [{"apiVersion": KINDS[kind].version, "kind": kind, **item} for item in found.get("items") or ()]

    def apply(self, manifest: Manifest, *, dry_run: bool = False, force: bool = False) -> Manifest:
        """Have the server make the object what `manifest` says, and return it as it is then, or would be.

        Raise ConfigurationError, naming the other manager, when a field belongs to somebody else and `force` is false.
        Raise Missing if its namespace does not exist, AlreadyExists if it holds a resourceVersion that is not the
        newest.
        """
        query = {
            "fieldManager": MANAGER,
            "force": "true" if force else "false",
            "fieldValidation": "Strict",
            "dryRun": "All" if dry_run else None,
        }
        kind, namespace, name = identity(manifest)
        answer = self._connection.request("PATCH", KINDS[kind].path(namespace, name), query, manifest, _APPLY)
        return self._object(answer, kind, namespace, name)

    def create(self, manifest: Manifest) -> Manifest:
        """Create an object. Raise AlreadyExists if there is one of that name."""
        kind, namespace, name = identity(manifest)
        query: dict[str, str | None] = {"fieldManager": MANAGER, "fieldValidation": "Strict"}
        answer = self._connection.request("POST", KINDS[kind].path(namespace), query, manifest)
        return self._object(answer, kind, namespace, name)

    def patch(
        self, kind: str, namespace: str, name: str, change: Manifest, *, part: str = "", dry_run: bool = False
    ) -> Manifest:
        """Merge a change into an object, whoever manages its fields, or into a `part` of it, such as its scale."""
        query = {"fieldManager": MANAGER, "fieldValidation": "Strict", "dryRun": "All" if dry_run else None}
        path = KINDS[kind].path(namespace, name) + (f"/{part}" if part else "")
        return self._object(self._connection.request("PATCH", path, query, change, _MERGE), kind, namespace, name)

    def serves(self, version: str) -> bool:
        """Whether the cluster knows a group of kinds in this version, such as longhorn.io/v1beta2."""
        answer = self._connection.request("GET", f"/apis/{version}", {})
        if answer.status == 404:
            return False
        self._object(answer, "Namespace", "", version)
        return True

    def call_service(
        self, method: str, namespace: str, service: str, path: str, query: Mapping[str, str | None], body: object = None
    ) -> Answer:
        """Send a request to a Service, through the API server. `service` is scheme:name:port. Raise NoPermission if our
        login may not do that; every other answer is the Service's, or says that there is none."""
        where = f"{KINDS['Service'].path(namespace, service)}/proxy{path}"
        answer = self._connection.request(method, where, query, body)
        if answer.status in (401, 403):
            self._object(answer, "Service", namespace, service)
        return answer

    def delete(self, kind: str, namespace: str, name: str) -> None:
        """Delete an object and, in the background, what it owns. One that is not there is a success."""
        options = {"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": "Background"}
        answer = self._connection.request("DELETE", KINDS[kind].path(namespace, name), {}, options)
        if answer.status != 404:
            self._object(answer, kind, namespace, name)

    def log(self, namespace: str, pod: str, container: str) -> str | None:
        """Return what a container wrote, or None when that is gone."""
        path = f"{KINDS['Pod'].path(namespace, pod)}/log"
        answer = self._connection.request("GET", path, {"container": container, "limitBytes": str(_LOG_BYTES)})
        return answer.text if answer.status == 200 else None

    def _object(self, answer: Answer, kind: str, namespace: str, name: str) -> Manifest:
        if 200 <= answer.status < 300 and isinstance(answer.body, dict):
            return answer.body
        what = shown_name(kind, namespace, name) if name else f"{kind} objects of {namespace or 'all namespaces'}"
        raise _refusal(answer, what, self._connection.prefix)


def connect(column: Column) -> Cluster:
    """Return the column's cluster."""
    return Cluster(open_connection(column.variables.app_kubeconfig, column.variables.app_kube_context))


def identity(manifest: Mapping[str, Any]) -> tuple[str, str, str]:
    """Return kind, namespace ("" where there is none) and name of an object."""
    metadata = manifest["metadata"]
    return manifest["kind"], metadata.get("namespace", ""), metadata["name"]


def _refusal(answer: Answer, what: str, prefix: str) -> BackupError:
    """The server's refusal in words. What it says of an invalid Secret may quote it, so that only fields are shown."""
    details = answer.body.get("details") or {} if isinstance(answer.body, Mapping) else {}
    causes = [cause for cause in details.get("causes") or () if isinstance(cause, Mapping)]
    said = answer.message
    if what.startswith("Secret") and answer.status in (400, 422):
        said = ", ".join(str(cause.get("field")) for cause in causes) or "invalid"
    if answer.status == 401:
        return NoPermission("the cluster refused our login", remedy=f"renew what {prefix}_kubeconfig logs in with")
    if answer.status == 403 and any(cause.get("reason") == "NamespaceTerminating" for cause in causes):
        return TryAgain(
            f"{what}: its namespace is being deleted",
            remedy="wait until the namespace is gone, then run again; if it stays, see which finalizers it has",
        )
    if answer.status == 403:
        return NoPermission(f"{what}: {said}", remedy=f"grant the login of {prefix}_kubeconfig what it names")
    if answer.status == 404:
        return Missing(f"{what}: {said}", remedy=f"roll out first: {ROLL_OUT}")
    if answer.status == 409:
        return _conflict(causes, what, said, prefix)
    # A field that the server does not know is an internal error to it.
    if (answer.status == 429 or answer.status >= 500) and "field not declared in schema" not in said:
        return Unavailable(f"{what}: the API server says {said}", remedy="run again when the cluster is well")
    return ConfigurationError(f"{what} is refused: {said}", remedy="correct the variable that it comes from")


def _conflict(causes: list[Mapping[str, Any]], what: str, said: str, prefix: str) -> BackupError:
    """Somebody else's field has a cause that names its manager; an object that changed meanwhile has none."""
    fields = [cause for cause in causes if cause.get("reason") == "FieldManagerConflict"]
    if not fields:
        return AlreadyExists(f"{what} was changed by somebody else just now ({said})", remedy="run again")
    told = "; ".join(f"{cause.get('field')}: {cause.get('message')}" for cause in fields[:5])
    return ConfigurationError(
        f"{what} is managed by somebody else too ({told})",
        remedy=f"take it out of what manages it (Flux, Argo CD, Helm, kubectl), or set {prefix}_force_conflicts: true",
    )
