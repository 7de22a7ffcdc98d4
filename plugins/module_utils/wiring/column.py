# SPDX-License-Identifier: GPL-3.0-or-later
"""The options that describe a column, documented by the fragment of the same name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from ansible.module_utils.basic import AnsibleModule

from ..contract.app import Column, parse
from ..contract.errors import ConfigurationError, about
from .argument_spec import ArgumentSpec

# Ansible masks every occurrence of a secret in all output, and a short one occurs in harmless words: with the password
# "app" every app_* name turns into "********_*".
_SHORTEST_SECRET = 8


def column_options() -> ArgumentSpec:
    """Return the options `app` and `secrets`. The contract validates what is in them."""
    return ArgumentSpec(
        {
            "app": {"type": "dict", "required": True},
            "secrets": {"type": "dict", "no_log": True, "default": {}},
        }
    )


def column_of(module: AnsibleModule) -> Column:
    """Return the column that the options describe. Raise ConfigurationError, naming app and variable, if they fail."""
    app, secrets = module.params["app"], module.params["secrets"]
    with about(str(app.get("app_name", "")), "reading its variables"):
        for name, value in _leaves(secrets, ""):
            if len(value) < _SHORTEST_SECRET:
                # Or this very message would be masked beyond recognition. It does not hold the value.
                module.no_log_values.discard(value)
                raise ConfigurationError(
                    f"{name} is {'empty' if not value else f'shorter than {_SHORTEST_SECRET} characters'}, and Ansible"
                    " would mask it inside of harmless words in all output",
                    remedy=f"leave {name} out or set it to a longer value",
                )
    return parse(app, secrets)


def _leaves(value: object, name: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from _leaves(item, f"{name}.{key}" if name else str(key))
    elif isinstance(value, str):
        yield name, value
