# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
name: on_node
short_description: Put together what apps say of a node
version_added: 1.0.0
author:
  - fanout.backup contributors (@fanout-backup)
description:
  - Apps on one server have their database in one pod, which is told once. A node that no cluster of the apps has is
    refused.
positional: node
options:
  _input:
    description: By host, what M(fanout.backup.column_node_info) returned. A host whose look failed is asked for.
    type: dict
    required: true
  node:
    description: Name of the node.
    type: str
    required: true
"""

EXAMPLES = r"""
- name: Show what is on node1
  ansible.builtin.debug:
    msg: "{{ {'forgejo': result} | fanout.backup.on_node('node1') }}"
"""

RETURN = r"""
_value:
  description:
    - The hosts that are C(asked) for, C(lines) for people, and C(refusal), a line, or "" if there is such a node.
  type: dict
  sample:
    asked: [forgejo]
    lines: ["node1 runs databases/postgresql-0 (emptyDir: a drain deletes it): forgejo"]
    refusal: ""
"""

from collections.abc import Callable

from ansible_collections.fanout.backup.plugins.module_utils.wiring.node_report import on_node


class FilterModule:
    """The table that Ansible reads."""

    def filters(self) -> dict[str, Callable[..., object]]:
        """Return the filters by name."""
        return {"on_node": on_node}
