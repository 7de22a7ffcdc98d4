# SPDX-License-Identifier: GPL-3.0-or-later
"""What b2_authorize_account answers: who we are, what we may do, and where to go on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ..contract.errors import Unavailable


@dataclass(frozen=True)
class Account:
    """A session of at most 24 hours. `api_url` serves the native API, `s3_endpoint` the S3 API."""

    account_id: str
    api_url: str
    s3_endpoint: str
    capabilities: frozenset[str]
    token: str = field(repr=False)


def parse_account(answer: Mapping[str, Any], host: str) -> Account:
    """Given the answer of API version 4, return the account. Raise Unavailable, naming `host`, if it is not one."""
    try:
        storage = answer["apiInfo"]["storageApi"]
        return Account(
            account_id=answer["accountId"],
            api_url=storage["apiUrl"],
            s3_endpoint=storage["s3ApiUrl"],
            capabilities=frozenset(storage["allowed"]["capabilities"]),
            token=answer["authorizationToken"],
        )
    except (KeyError, TypeError):
        raise Unavailable(
            f"{host} answered something that is not Backblaze's API version 4", remedy="check the api_url"
        ) from None
