# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
name: judgement
short_description: Judge a playbook by what was noted of each app
version_added: 1.0.0
author:
  - fanout.backup contributors (@fanout-backup)
description:
  - The playbooks of this collection do something with every app, go on whatever comes of it, and judge at the end. A
    host of which nothing was noted has failed, because it got lost on the way.
positional: hosts, title, act
options:
  _input:
    description: The variables of all hosts, of which C(outcome) is read, as P(fanout.backup.noted#filter) returns it.
    type: dict
    required: true
  hosts:
    description: Names of the hosts that the playbook began with.
    type: list
    elements: str
    required: true
  title:
    description: What the last line begins with, such as V(BACKUP).
    type: str
    required: true
  act:
    description: What has to be noted of each host, such as V(app/backup).
    type: str
    required: true
  good:
    description: The word for a playbook that went well.
    type: str
    default: OK
  bad:
    description: The word for one that did not.
    type: str
    default: FAILED
  strict:
    description: Whether a playbook without a single thread has failed.
    type: bool
    default: false
  acts:
    description: Whether the playbook does anything, and so says nothing in check mode.
    type: bool
    default: true
  looks:
    description: Whether the last line counts the threads that have a problem.
    type: bool
    default: false
  check_mode:
    description: Whether the playbook runs in check mode.
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: Judge
  ansible.builtin.set_fact:
    judged: "{{ hostvars | fanout.backup.judgement(ansible_play_hosts_all, 'BACKUP', 'app/backup') }}"
"""

RETURN = r"""
_value:
  description:
    - The C(result) is the last line, C(table) all that is shown when nothing failed, C(failures) are what failed, and
      C(is_bad) says whether anything did.
  type: dict
  sample: {is_bad: false, result: "BACKUP OK (apps: 1, threads: 2)", table: [], failures: []}
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any


def judgement(
    hostvars: Mapping[str, Mapping[str, Any]], hosts: Iterable[str], title: str, act: str, **how: Any
) -> dict[str, Any]:
    """Return what came of a playbook."""
    # Only here: to find one filter, Ansible imports all of a collection, anew in each worker process.
    from ansible_collections.fanout.backup.plugins.module_utils.contract.codec import encode
    from ansible_collections.fanout.backup.plugins.module_utils.wiring.judgement import Question, judge

    check_mode = how.pop("check_mode", False)
    outcomes = {host: hostvars[host].get("outcome") for host in hosts}
    found: dict[str, Any] = encode(judge(outcomes, Question(title, act, **how), check_mode=check_mode))
    return found


class FilterModule:
    """The table that Ansible reads."""

    def filters(self) -> dict[str, Callable[..., object]]:
        """Return the filters by name."""
        return {"judgement": judgement}
