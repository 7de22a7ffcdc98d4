# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
name: noted
short_description: Add what came of one act to what is noted of an app
version_added: 1.0.0
author:
  - fanout.backup contributors (@fanout-backup)
description:
  - The playbooks of this collection do something with every app, go on whatever comes of it, and judge at the end. This
    is what they read then.
positional: result, act, app
options:
  _input:
    description: What was noted before, V({}) at first.
    type: dict
    required: true
  result:
    description: What a module of this collection returned, or the result of a task that failed.
    type: dict
    required: true
  act:
    description: The role and its entry point, such as V(app/backup) or V(longhorn/revert).
    type: str
    required: true
  app:
    description: Name of the app.
    type: str
    required: true
  server:
    description: Name of the server, if it was the role C(longhorn) and not C(app).
    type: str
  strict:
    description: Whether problems are failures.
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: Note what was done
  ansible.builtin.set_fact:
    outcome: "{{ outcome | default({}) | fanout.backup.noted(result, 'app/backup', inventory_hostname) }}"
"""

RETURN = r"""
_value:
  description:
    - The C(acts), their C(threads), C(lines) for a table, C(failures), and columns that are C(unclaimed).
  type: dict
  sample: {acts: [app/main], threads: [], lines: ["forgejo: column unchanged"], failures: [], unclaimed: []}
"""

from collections.abc import Callable

from ansible_collections.fanout.backup.plugins.module_utils.wiring.outcomes import noted


class FilterModule:
    """The table that Ansible reads."""

    def filters(self) -> dict[str, Callable[..., object]]:
        """Return the filters by name."""
        return {"noted": noted}
