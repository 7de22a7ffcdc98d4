# SPDX-License-Identifier: GPL-3.0-or-later
"""A key for one act of its owner, which no thread ever has: it may delete versions, and is gone afterwards."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Callable, Iterator

from ..b2.application_keys import Scope, create_key, delete_key
from ..b2.buckets import find_bucket
from ..b2.client import B2Client
from ..contract.destination import B2Destination
from ..contract.errors import ConfigurationError
from ..contract.key_file import WRITER_CAPABILITIES, KeyFile, StoredKey, region_of, render
from ..contract.thread import ThreadName
from ..inventory.column import Column

# What threads' keys are called begins otherwise, so that no roll-out takes it for one of theirs.
_NAME = "recover-history"
_CAPABILITIES = (*WRITER_CAPABILITIES, "deleteFiles")


@contextlib.contextmanager
def lent_key(
    client: B2Client, column: Column, thread: ThreadName, where: B2Destination, hide: Callable[[str], None]
) -> Iterator[str]:
    """Yield the text of a key.json with a key that may delete versions below the thread's prefix, and delete the key.

    One that could not be deleted ends with the column's longest run. Raise NoPermission if the account's key may not
    mint, ConfigurationError for a bucket that does not exist.
    """
    bucket = find_bucket(client, where.bucket)
    if bucket is None:
        raise ConfigurationError(f"the bucket {where.bucket} does not exist", remedy="correct the destination's bucket")
    prefix = column.source_prefix(thread.source)
    scope = Scope((bucket.bucket_id,), prefix, _CAPABILITIES)
    made = create_key(client, f"{_NAME}-{secrets.token_hex(4)}", scope, valid=int(column.limits.end))
    try:
        hide(made.secret)
        endpoint = client.account().s3_endpoint
        key = StoredKey("b2", made.key.key_id, made.secret, endpoint, region_of(endpoint), where.bucket, prefix)
        yield render(KeyFile(api_url=where.api_url, current=key))
    finally:
        delete_key(client, made.key.key_id, made.key.api_version)
