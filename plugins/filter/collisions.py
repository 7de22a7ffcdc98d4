# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
name: collisions
short_description: Find apps of the inventory that would lie in each other's place
version_added: 1.0.0
author:
  - fanout.backup contributors (@fanout-backup)
description:
  - Compares where the copies of all given hosts lie, C(app_prefix) at each of C(app_destinations). Two apps with one
    prefix, or one whose prefix begins with the other's, could read and hide each other's backups.
  - Before the first roll-out of an app nothing but the inventory knows of it, and apps are rolled out at the same time,
    so no module could see the other.
  - A host whose variables cannot be read collides with nothing here. Its own roll-out says what is wrong with them.
positional: hosts
extends_documentation_fragment:
  - fanout.backup.hosts
"""

EXAMPLES = r"""
- name: Stop if two apps collide
  ansible.builtin.assert:
    that: hostvars | fanout.backup.collisions(groups['apps']) == {}
"""

RETURN = r"""
_value:
  description: For each host that collides with another, one line that names both and the remedy.
  type: dict
  sample: {}
"""

from collections.abc import Callable, Iterable, Mapping

from ansible_collections.fanout.backup.plugins.plugin_utils.hosts import claims


def collisions(hostvars: Mapping[str, Mapping[str, object]], hosts: Iterable[str]) -> dict[str, str]:
    """Return one line for each host that collides with another."""
    # Only here: to find one filter, Ansible imports all of a collection, anew in each worker process.
    from ansible_collections.fanout.backup.plugins.module_utils.inventory.locations import CLAIM
    from ansible_collections.fanout.backup.plugins.module_utils.inventory.locations import (
        collisions as found_collisions,
    )

    return found_collisions(claims(hostvars, hosts, CLAIM))


class FilterModule:
    """The table that Ansible reads."""

    def filters(self) -> dict[str, Callable[..., object]]:
        """Return the filters by name."""
        return {"collisions": collisions}
