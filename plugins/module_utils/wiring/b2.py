# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of a B2 account, documented by the fragment of the same name."""

from __future__ import annotations

import functools

from ansible.module_utils.basic import AnsibleModule, env_fallback

from ..actions.keys import Connect
from ..b2.client import B2Client
from ..contract.errors import ConfigurationError
from .argument_spec import ArgumentSpec


def b2_options() -> ArgumentSpec:
    """Return the options that name the account's key. They are needed only where a module has work at B2."""
    return ArgumentSpec(
        {
            "account_key_id": {"type": "str", "fallback": (env_fallback, ["B2_APPLICATION_KEY_ID"])},
            "account_key": {"type": "str", "no_log": True, "fallback": (env_fallback, ["B2_APPLICATION_KEY"])},
        },
        required_together=(("account_key_id", "account_key"),),
    )


def b2_connect(module: AnsibleModule) -> Connect:
    """Return what makes the account's client for the URL of a native API, one client per URL.

    It raises ConfigurationError when the options are not set.
    """
    key_id, key = module.params["account_key_id"], module.params["account_key"]

    @functools.cache
    def connect(api_url: str) -> B2Client:
        if not key_id or not key:
            raise ConfigurationError(
                "no account key of Backblaze B2 is given",
                remedy="set account_key_id and account_key, or B2_APPLICATION_KEY_ID and B2_APPLICATION_KEY in the"
                " environment",
            )
        return B2Client(key_id, key, api_url)

    return connect
