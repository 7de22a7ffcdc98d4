# SPDX-License-Identifier: GPL-3.0-or-later
"""The password of a source's login: from the inventory's vault, or copied from the app's own Secret."""

from __future__ import annotations

from dataclasses import dataclass, field

from ...contract.errors import ConfigurationError
from ...inventory.column import Column
from ...inventory.kubernetes import object_name
from ...k8s.cluster import Cluster
from ...k8s.resources import Manifest, shown_name
from .live_objects import Found
from .objects import labels, opaque_secret, secret_text
from .pods import password_file


@dataclass(frozen=True)
class Login:
    """The password (None: the login needs none), and what a user should know of it."""

    text: str | None = field(repr=False)
    warnings: tuple[str, ...] = ()


def login(cluster: Cluster, column: Column, found: Found) -> Login:
    """Return the password that the column's threads are to have.

    Raise ConfigurationError if the app's own Secret does not have it."""
    if column.variables.app_database_secret is None:
        return Login(column.secrets.app_database_password)
    text = _of_the_app(cluster, column)
    copies = (found.objects.get(("Secret", object_name(column.app, name))) for name in column.destinations)
    if any(copy is not None and _drifted(column, copy, text) for copy in copies):
        return Login(text, (f"{column.app}: {_source(column)} has another password than at the last roll-out",))
    return Login(text)


def login_secret(column: Column, destination: str, password: str) -> Manifest:
    """Return the Secret with the login that one thread uses."""
    texts = {file: password + "\n" for source in column.sources if (file := password_file(source))}
    return opaque_secret(column, object_name(column.app, destination), labels(column, destination), texts)


def _drifted(column: Column, copy: Manifest, text: str) -> bool:
    """Whether a thread's Secret holds another password than `text`."""
    files = [file for source in column.sources if (file := password_file(source))]
    return any(secret_text(copy, file) != f"{text}\n" for file in files)


def _of_the_app(cluster: Cluster, column: Column) -> str:
    given = column.variables.app_database_secret
    if given is None:
        raise ConfigurationError("app_database_secret is not set", remedy="set it")
    secret = cluster.get("Secret", given.namespace, given.name)
    text = None if secret is None else secret_text(secret, given.key)
    if text is None:
        lacks = "does not exist" if secret is None else f"has no key {given.key}"
        raise ConfigurationError(f"{_source(column)} {lacks}", remedy="correct app_database_secret")
    return text.rstrip("\n")


def _source(column: Column) -> str:
    given = column.variables.app_database_secret
    return shown_name("Secret", given.namespace, given.name) if given else ""
