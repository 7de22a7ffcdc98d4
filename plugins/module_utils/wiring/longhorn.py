# SPDX-License-Identifier: GPL-3.0-or-later
"""The options that describe a server, documented by the fragment of the same name."""

from __future__ import annotations

from ansible.module_utils.basic import AnsibleModule

from ..inventory.longhorn import Server, parse_server
from .argument_spec import ArgumentSpec


def server_options() -> ArgumentSpec:
    """Return the options `server` and `apps`. The contract validates what is in them."""
    return ArgumentSpec(
        {
            "server": {"type": "dict", "required": True},
            "apps": {"type": "list", "elements": "str", "required": True},
        }
    )


def server_of(module: AnsibleModule) -> Server:
    """Return the server that the options describe. Raise ConfigurationError, naming server and variable, if they
    fail."""
    return parse_server(module.params["server"], module.params["apps"])
