# SPDX-License-Identifier: GPL-3.0-or-later
"""Objects as they are become objects as they should be; what a user sees of both, without the server's noise and
without secrets."""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Iterator

from ...contract.errors import ConfigurationError
from ...k8s.cluster import Cluster, Missing, identity
from ...k8s.resources import Manifest, shown_name
from ..differences import differing
from .live_objects import Objects, is_ours, label
from .objects import COLUMN, KEY_OF

# The digest of what we sent last. As long as it is the same and every value that we sent is there, sending it again
# would change nothing, so that a roll-out without changes only reads.
_SENT = "fanout.backup/sent"
_NOISE = ("managedFields", "resourceVersion", "generation", "uid", "creationTimestamp", "selfLink", "ownerReferences")


def applied(cluster: Cluster, live: Manifest | None, wanted: Manifest, *, dry_run: bool, force: bool) -> Manifest:
    """Have the server make `live` what `wanted` says, and return the object as it is then, or would be.

    Raise ConfigurationError if there is such an object that is none of this column's.
    """
    _check_ours(live, wanted)
    stamped = _stamped(wanted)
    if live is not None and next(differing(live, stamped), None) is None:
        return live
    try:
        return cluster.apply(stamped, dry_run=dry_run, force=force)
    except Missing:
        if dry_run:
            return wanted  # its namespace is made by the same roll-out
        raise


def _check_ours(live: Manifest | None, wanted: Manifest) -> None:
    kind, namespace, name = identity(wanted)
    # Anybody may have made the namespace, to put a claim into it. What is in it says whose it is.
    if live is None or kind == "Namespace":
        return
    if label(live, KEY_OF) and not label(wanted, KEY_OF):
        raise ConfigurationError(
            f"{shown_name(kind, namespace, name)} holds a key of Backblaze B2, and the destination is now of kind s3",
            remedy="run b2_application_key first, as fanout.backup.site does: it deletes that key",
        )
    owner = label(live, COLUMN)
    if owner != label(wanted, COLUMN) and (owner is not None or not is_ours(live)):
        whose = f"belongs to the column {owner}" if owner else "is none of ours"
        raise ConfigurationError(
            f"{shown_name(kind, namespace, name)} {whose}", remedy="remove or rename it, then roll out again"
        )


def _stamped(wanted: Manifest) -> Manifest:
    """The digest covers no data of a Secret: a digest of a short password is as good as the password."""
    told = {key: value for key, value in wanted.items() if wanted["kind"] != "Secret" or key != "data"}
    digest = hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()[:16]
    metadata = wanted["metadata"]
    annotations = {**metadata.get("annotations", {}), _SENT: digest}
    return {**wanted, "metadata": {**metadata, "annotations": annotations}}


def unlike(live: Manifest, wanted: Manifest) -> Iterator[str]:
    """Yield what a roll-out would change of `live`: paths of fields, "" if only what was sent last is another thing.
    That changes also when a field is no longer wanted, which the server then takes away."""
    stamp = f"metadata.annotations.{_SENT}"
    paths = list(differing(live, _stamped(wanted)))
    yield from [path for path in paths if path != stamp] or [""] * len(paths)


def shown(objects: Objects, before: Objects) -> dict[str, object]:
    """Return objects as a user may see them, by kind and name. `before` is what secrets are compared with."""
    return {f"{kind} {name}": _shown(one, before.get((kind, name))) for (kind, name), one in sorted(objects.items())}


def _shown(one: Manifest, before: Manifest | None) -> dict[str, object]:
    result = {key: value for key, value in copy.deepcopy(one).items() if key not in ("apiVersion", "kind", "status")}
    metadata = {key: value for key, value in result["metadata"].items() if key not in _NOISE}
    annotations = {key: value for key, value in metadata.pop("annotations", {}).items() if key != _SENT}
    result["metadata"] = metadata | ({"annotations": annotations} if annotations else {})
    if one["kind"] == "Secret":
        known = (before or {}).get("data") or {}
        data = one.get("data") or {}
        result["data"] = {
            key: "<changed>" if key in known and known[key] != value else "<set>" for key, value in data.items()
        }
    if one["kind"] == "ConfigMap":
        result["data"] = {key: _readable(text) for key, text in (one.get("data") or {}).items()}
    return result


def _readable(text: str) -> object:
    """JSON in a ConfigMap as what it says, so that a diff shows the line that changed."""
    try:
        return json.loads(text)
    except ValueError:
        return text.splitlines()
