# SPDX-License-Identifier: GPL-3.0-or-later
"""Values of the shipped inventory and of examples that are there to be replaced. Left in place they look like others,
and a backup for which nobody has the identity is none."""

from __future__ import annotations

from collections.abc import Iterator

from ..contract.destination import B2Destination, Destination
from ..contract.errors import ConfigurationError
from .variables import Secrets, Variables

# Of age's own documentation, where its identity stands too.
RECIPIENT = "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p"
# Names of buckets are one space for all accounts of Backblaze: whoever makes one of these first has it.
BUCKETS = frozenset({"example-backups", "example-home-backups"})
PREFIX = "placeholder-"  # of secrets


def has_placeholder_bucket(where: Destination) -> bool:
    """Whether a destination's bucket is that of an example."""
    return isinstance(where, B2Destination) and where.bucket in BUCKETS


def check_placeholders(given: Variables, secrets: Secrets) -> None:
    """Raise ConfigurationError, naming the variable, for a value that was to be replaced."""
    if RECIPIENT in given.app_recovery_recipients:
        raise ConfigurationError(
            "app_recovery_recipients holds the example of age's documentation, whose identity everybody has",
            remedy="make an identity with age-keygen, keep it offline, and name its public key (age1...) there",
        )
    for name, where in given.app_destinations.items():
        if has_placeholder_bucket(where):
            raise ConfigurationError(
                f"app_destinations.{name}.bucket is the one of an example",
                remedy="name a bucket of your own: no two accounts have buckets of one name",
            )
    for name, text in _texts(secrets):
        if text is not None and text.startswith(PREFIX):
            raise ConfigurationError(
                f"{name} is still a placeholder", remedy=f"set {name} to the real one, in a file that is vaulted"
            )


def _texts(secrets: Secrets) -> Iterator[tuple[str, str | None]]:
    yield "app_database_password", secrets.app_database_password
    yield "app_restore_password", secrets.app_restore_password
    for name, key in secrets.app_s3_keys.items():
        yield f"app_s3_keys.{name}", key.access_key_id
        yield f"app_s3_keys.{name}", key.secret_access_key
