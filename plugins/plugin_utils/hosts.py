# SPDX-License-Identifier: GPL-3.0-or-later
"""What filters read of the inventory's hosts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from ansible.errors import AnsibleError


def claims(
    hostvars: Mapping[str, Mapping[str, object]], hosts: Iterable[str], names: Iterable[str]
) -> dict[str, dict[str, object]]:
    """Return by host which of the variables `names` it has, with the role's default of app_name.

    A template that does not resolve is this app's trouble, and no other's: such a host has none of them.
    """
    found: dict[str, dict[str, object]] = {}
    for host in hosts:
        try:
            found[host] = {"app_name": host} | {name: hostvars[host][name] for name in names if name in hostvars[host]}
        except AnsibleError:
            found[host] = {}
    return found
