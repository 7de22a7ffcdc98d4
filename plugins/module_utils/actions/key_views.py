# SPDX-License-Identifier: GPL-3.0-or-later
"""What a user may see of keys: mappings for results and diffs, none of which holds a secret."""

from __future__ import annotations

from ..b2.application_keys import Key
from ..contract.key_file import KeyFile


def shown_file(file: KeyFile) -> dict[str, object]:
    """Return the content of a key file."""
    key = file.current
    minted = key.minted if key else None
    return {
        "key_id": key and key.key_id,
        "name": minted and minted.name,
        "bucket": key and key.bucket,
        "prefix": key and key.prefix,
        "capabilities": list(minted.capabilities) if minted else None,
        "pending": file.pending,
        "retiring": [retiring.name for retiring in file.retiring],
    }


def shown_keys(file: KeyFile, strays: tuple[Key, ...] = ()) -> dict[str, object] | None:
    """Return all keys of a thread, stored and stray, or None if there are none."""
    if file == KeyFile(api_url=file.api_url) and not strays:
        return None
    return {**shown_file(file), "strays": [key.name for key in strays]}


def shown_key(key: Key) -> dict[str, object]:
    """Return a key as B2 lists it."""
    return {
        "key_id": key.key_id,
        "name": key.name,
        "bucket_ids": list(key.scope.bucket_ids),
        "prefix": key.scope.prefix,
        "capabilities": list(key.scope.capabilities),
    }
