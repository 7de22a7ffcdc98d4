# SPDX-License-Identifier: GPL-3.0-or-later
"""Passwords of the sources' logins: from the inventory's vault, or copied from the app's own Secret."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ...contract.errors import ConfigurationError
from ...contract.thread import ThreadName
from ...inventory.column import PASSWORD_FILE, Column
from ...inventory.kubernetes import object_name
from ...inventory.variables import DatabaseSecret
from ...k8s.cluster import Cluster
from ...k8s.resources import Manifest, shown_name
from .live_objects import Found
from .objects import labels, opaque_secret, secret_text


@dataclass(frozen=True)
class Passwords:
    """The passwords of the sources that have one, by source, and what a user should know of them."""

    texts: Mapping[str, str] = field(repr=False)
    warnings: tuple[str, ...] = ()


def passwords(cluster: Cluster, column: Column, found: Found) -> Passwords:
    """Return the passwords that the column's threads are to have.

    Raise ConfigurationError if the app's own Secret does not have one."""
    texts: dict[str, str] = {}
    warnings: list[str] = []
    for name, source in column.sources.items():
        if source.password is not None:
            texts[name] = source.password
        elif source.password_secret is not None:
            texts[name] = _of_the_app(cluster, source.password_secret)
            names = [object_name(thread) for thread in column.thread_names if thread.source == name]
            copies = [found.objects.get(("Secret", each)) for each in names]
            if any(copy is not None and secret_text(copy, PASSWORD_FILE) != f"{texts[name]}\n" for copy in copies):
                shown = _shown(source.password_secret)
                warnings.append(f"{column.app}: {shown} has another password than at the last roll-out")
    return Passwords(texts, tuple(warnings))


def password_secret(column: Column, thread: ThreadName, password: str) -> Manifest:
    """Return the Secret with the password that one thread uses."""
    return opaque_secret(column, object_name(thread), labels(column, thread), {PASSWORD_FILE: f"{password}\n"})


def _of_the_app(cluster: Cluster, given: DatabaseSecret) -> str:
    secret = cluster.get("Secret", given.namespace, given.name)
    text = None if secret is None else secret_text(secret, given.key)
    if text is None:
        lacks = "does not exist" if secret is None else f"has no key {given.key}"
        raise ConfigurationError(f"{_shown(given)} {lacks}", remedy="correct app_database_secret")
    return text.rstrip("\n")


def _shown(given: DatabaseSecret) -> str:
    return shown_name("Secret", given.namespace, given.name)
