# SPDX-License-Identifier: GPL-3.0-or-later
"""What platform `kubernetes` demands of an app's variables, and what a column's objects are called there."""

from __future__ import annotations

import hashlib
import ipaddress
import re
import urllib.parse
from collections.abc import Sequence
from pathlib import PurePosixPath

from ..contract.destination import DirectoryDestination, Network, S3Destination
from ..contract.errors import ConfigurationError
from ..contract.thread import ThreadName
from .pods import check_pods
from .variables import Secrets, Variables

# Kubernetes appends 11 characters to the name of a CronJob to name a Job, which may have 63.
LONGEST_NAME = 52
DRILL_IDENTITY = "drill-identity"
ONBOARDED = "onboarded"  # without a hyphen, so that it is the name of no thread's object
DRILL, KEY = "-drill", "-key"

_SIZE = re.compile(r"[1-9][0-9]{0,5}(Mi|Gi|Ti)")
_NAME = re.compile(r"[a-z0-9]([-.a-z0-9]{0,251}[a-z0-9])?")
_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")


def namespace_of(app: str) -> str:
    """Return the namespace of an app's column."""
    return f"backup-{app}"


def object_name(thread: ThreadName, suffix: str = "") -> str:
    """Return the name of one thread's object, shortened unambiguously if it is too long."""
    plain = f"{thread.app}-{thread.source}-{thread.destination}"
    if len(plain + suffix) <= LONGEST_NAME:
        return plain + suffix
    digest = hashlib.sha256(str(thread).encode()).hexdigest()[:8]
    return f"{plain[: LONGEST_NAME - 9 - len(suffix)].rstrip('-')}-{digest}{suffix}"


def check_cluster(given: Variables, secrets: Secrets, threads: Sequence[ThreadName], drilled: Sequence[str]) -> None:
    """Raise ConfigurationError for variables that cannot work on platform `kubernetes`."""
    _check_images(given, drilled)
    _check_names(threads)
    if not _SIZE.fullmatch(given.app_scratch_size):
        raise ConfigurationError(
            f"app_scratch_size must be a number and a unit, such as 500Mi or 20Gi, not {given.app_scratch_size!r}",
            remedy="correct app_scratch_size",
        )
    check_pods(given)
    _check_database(given, secrets)
    for name, where in given.app_destinations.items():
        if isinstance(where, DirectoryDestination):
            _check_volume(where, f"app_destinations.{name}")
        elif isinstance(where, S3Destination):
            host = urllib.parse.urlsplit(where.endpoint).hostname or ""
            _check_network(where.network, host, f"app_destinations.{name}.network")


def address_block(host: str) -> str | None:
    """Return the block of exactly one address that `host` is, or None if it is a name."""
    try:
        return str(ipaddress.ip_network(host))
    except ValueError:
        return None


def _check_images(given: Variables, drilled: Sequence[str]) -> None:
    for name, needed in (("app_image", True), ("app_drill_image", bool(drilled))):
        image = getattr(given, name)
        if image is None and needed:
            raise ConfigurationError(
                f"{name} is missing, which app_platform kubernetes needs", remedy=f"set {name} to an image with its tag"
            )
        if image is not None and (not image or any(character.isspace() for character in image)):
            raise ConfigurationError(f"{name} {image!r} is not a valid image", remedy=f"correct {name}")


def _check_names(threads: Sequence[ThreadName]) -> None:
    """Refuse threads whose objects would have the same name, such as the drill of "b2" and a "b2-drill"."""
    taken = {DRILL_IDENTITY: ""}
    for thread in threads:
        for suffix in ("", DRILL, KEY):
            name = object_name(thread, suffix)
            if name in taken:
                raise ConfigurationError(
                    f"the thread {thread} needs an object named {name}, but that name is taken",
                    remedy=f"give its destination a name that does not end in {DRILL} or {KEY}",
                )
            taken[name] = str(thread)


def _check_database(given: Variables, secrets: Secrets) -> None:
    if given.app_database_secret is not None:
        if secrets.app_database_password is not None:
            raise ConfigurationError(
                "both app_database_secret and app_database_password are set", remedy="remove one of the two"
            )
        if not _LABEL.fullmatch(given.app_database_secret.namespace) or not _NAME.fullmatch(
            given.app_database_secret.name
        ):
            raise ConfigurationError(
                "app_database_secret does not name a valid Secret", remedy="correct its namespace and name"
            )
    if given.app_database_ca is None and given.app_database_sslmode in ("verify-ca", "verify-full"):
        raise ConfigurationError(
            f"app_database_sslmode {given.app_database_sslmode} needs app_database_ca: a pod has no certificates of its"
            " own",
            remedy="set app_database_ca to a file with the certificate that vouches for the server's",
        )
    block = address_block(given.app_database_host)
    if given.app_database_host == "localhost" or (block and ipaddress.ip_network(block).is_loopback):
        raise ConfigurationError(
            f"app_database_host {given.app_database_host} is the pod itself on app_platform kubernetes",
            remedy="set app_database_host to the database server's name or address",
        )
    _check_network(given.app_database_network, given.app_database_host, "app_database_network")


def _check_network(network: Network | None, host: str, where: str) -> None:
    if network is None or not (network.addresses or network.pods):
        if address_block(host) is None:
            raise ConfigurationError(
                f"{where} is missing: a NetworkPolicy cannot contain the host name {host}",
                remedy=f"set {where} to its addresses, as [192.168.1.10/32], or to its pods, as"
                " {namespace: databases, labels: {app: postgresql}}",
            )
        return
    for address in network.addresses:
        try:
            ipaddress.ip_network(address)
        except ValueError:
            raise ConfigurationError(
                f"{where}.addresses: {address!r} is not a block of addresses", remedy="write it as 192.168.1.10/32"
            ) from None
    if network.pods and (not _LABEL.fullmatch(network.pods.namespace) or not network.pods.labels):
        raise ConfigurationError(
            f"{where}.pods does not select any pods",
            remedy="give it a namespace and at least one label of the server's pods",
        )


def _check_volume(where: DirectoryDestination, variable: str) -> None:
    if (where.nfs is None) == (where.claim is None):
        raise ConfigurationError(
            f"{variable} has {'neither nfs nor claim' if where.nfs is None else 'both nfs and claim'}, but app_platform"
            " kubernetes needs exactly one of them",
            remedy="say where the folder is with nfs: {server: nas.home.arpa, path: /volume1/backups}, or name a"
            " PersistentVolumeClaim with claim",
        )
    if where.nfs is not None and (not where.nfs.server or "/" in where.nfs.server):
        raise ConfigurationError(
            f"{variable}.nfs.server {where.nfs.server!r} is not a valid server", remedy="correct it"
        )
    if where.nfs is not None and (not PurePosixPath(where.nfs.path).is_absolute() or ".." in where.nfs.path.split("/")):
        raise ConfigurationError(f"{variable}.nfs.path {where.nfs.path!r} is not an absolute path", remedy="correct it")
    if where.claim is not None and not _NAME.fullmatch(where.claim):
        raise ConfigurationError(f"{variable}.claim {where.claim!r} is not a valid claim name", remedy="correct it")
