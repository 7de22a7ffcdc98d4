# SPDX-License-Identifier: GPL-3.0-or-later
"""The options that describe a column, documented by the fragment of the same name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from ansible.module_utils.basic import AnsibleModule

from ..contract.errors import ConfigurationError, about
from ..inventory.column import Column, parse
from .argument_spec import ArgumentSpec

# Ansible masks every occurrence of a secret in all output, and a short one occurs in harmless words: with the password
# "app" every app_* name turns into "********_*". So a shorter one is not searched for.
_SHORTEST_MASKED = 8
_MASK = "********"


def column_options() -> ArgumentSpec:
    """Return the options `app` and `secrets`. The contract validates what is in them."""
    return ArgumentSpec(
        {
            "app": {"type": "dict", "required": True},
            "secrets": {"type": "dict", "no_log": True, "default": {}},
        }
    )


def column_of(module: AnsibleModule) -> Column:
    """Return the column that the options describe. Raise ConfigurationError, naming app and variable, if they fail.

    The module forgets the secrets: it would tell what it was called with, and mask there only what it searches for."""
    app, secrets = module.params["app"], module.params["secrets"]
    module.params["secrets"] = dict.fromkeys(secrets, _MASK)
    with about(str(app.get("app_name", "")), "reading its variables"):
        for name, value in _leaves(secrets, ""):
            if not value:
                raise ConfigurationError(f"{name} is empty", remedy=f"leave {name} out or set it")
            if len(value) < _SHORTEST_MASKED:
                module.no_log_values.discard(value)
    return parse(app, secrets)


def _leaves(value: object, name: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from _leaves(item, f"{name}.{key}" if name else str(key))
    elif isinstance(value, str):
        yield name, value
