# SPDX-License-Identifier: GPL-3.0-or-later
"""The applications: which dump is whose, and what each needs that its dump does not say.

The dumps lie in a folder outside of the repository, since a schema belongs to its application. They are archives of
pg_dump from PostgreSQL 15, called `application-version-pg15.pgc`.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

FOLDER = "FANOUT_TEST_APPS"

# What django-allauth's migration writes. PostgreSQL prints it in another way once it has been restored, so that a dump
# of a restored database no longer has it.
_ALLAUTH = """
DROP INDEX unique_authenticator_type;
CREATE UNIQUE INDEX unique_authenticator_type ON mfa_authenticator (user_id, type)
    WHERE type IN ('totp', 'recovery_codes');
"""


@dataclass(frozen=True)
class App:
    """An application. `owner` is its login, `tables` are two that are restored by themselves, the second one of those
    that need an extension where there is one, `afterwards` is SQL that makes a restored dump what the application's own
    migrations make, as its owner."""

    name: str
    owner: str
    tables: tuple[str, str]
    afterwards: str = ""

    @property
    def dump(self) -> Path:
        """Its dump. Raise FileNotFoundError if the folder has none or several."""
        place = folder()
        found = sorted(place.glob(f"{self.name}-*-pg15.pgc")) if place else []
        if len(found) != 1:
            raise FileNotFoundError(f"{FOLDER} has to hold one {self.name}-*-pg15.pgc")
        return found[0]


def folder() -> Path | None:
    """The folder that FANOUT_TEST_APPS names. Raise FileNotFoundError if there is none at that place."""
    named = os.environ.get(FOLDER)
    if not named:
        return None
    place = Path(named).resolve()
    if not place.is_dir():
        raise FileNotFoundError(f"{FOLDER} names {place}, which is no folder")
    return place


FORGEJO = App("forgejo", "forgejo", ("public.issue", "public.user"))
GITEA = App("gitea", "gitea", ("public.issue", "public.comment"))
GITLAB = App("gitlab", "gitlabhq_production", ("public.audit_events", "public.issues"))
HEALTHCHECKS = App("healthchecks", "healthchecks", ("public.api_check", "public.auth_user"))
# Its compose file makes no other login than the superuser.
IMMICH = App("immich", "postgres", ("public.smart_search", "public.asset_exif"))
MINIFLUX = App("miniflux", "miniflux", ("public.entries", "public.users"))
NETBOX = App("netbox", "netbox", ("public.ipam_prefix", "public.dcim_device"))
NEXTCLOUD = App("nextcloud", "nextcloud", ("public.oc_filecache", "public.oc_users"))
PAPERLESS = App("paperless-ngx", "paperless", ("public.documents_document", "public.mfa_authenticator"), _ALLAUTH)
SYNAPSE = App("synapse", "synapse", ("public.users", "public.room_memberships"))
TANDOOR = App("tandoor", "tandoor", ("public.mfa_authenticator", "public.cookbook_recipe"), _ALLAUTH)
WIKIJS = App("wikijs", "wikijs", ("public.pages", "public.users"))
