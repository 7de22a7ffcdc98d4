# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: longhorn_recurring_job
short_description: Manage a recurring job of Longhorn
version_added: 1.0.0
author:
  - fanout.backup contributors (@fanout-backup)
description:
  - Creates a RecurringJob, or updates it in place. It is never deleted and created again, since Longhorn would
    lose its labels or keep them at random.
  - All fields are sent, on the server's side with the field manager V(fanout.backup), so nothing that Longhorn
    fills in looks like a change.
  - Names, retention and tasks are checked before, because Longhorn rewrites some values, accepts names that it cannot
    run, and stops for ever at others.
  - If a job is removed, its labels on volumes and claims are removed too, which Longhorn would leave behind. Its
    snapshots stay.
options:
  name:
    description:
      - Name of the job, 2 to 40 lower-case letters, digits and inner hyphens. Snapshots are named by its first 8
        characters.
    type: str
    required: true
  state:
    description:
      - Whether the job should exist.
    type: str
    choices: [present, absent]
    default: present
  task:
    description:
      - V(snapshot), V(snapshot-force-create), V(snapshot-cleanup), V(snapshot-delete) or V(filesystem-trim).
      - Tasks that send data off-site (V(backup), V(backup-force-create), V(system-backup)) are refused. Longhorn has
        one backup target, so all copies of all apps would share one fate.
    type: str
    default: snapshot
  cron:
    description:
      - When it runs, as 5 fields, V(@daily) or V(@every 1h), in the time zone of the cluster's controller manager,
        which is usually UTC. Needed unless O(state=absent).
    type: str
  retain:
    description:
      - How many snapshots of each volume stay. 0 for tasks that keep none. Needed unless O(state=absent).
    type: int
  concurrency:
    description:
      - How many volumes it works on at a time.
    type: int
    default: 1
  groups:
    description:
      - Groups of volumes on which it runs, beside those that bear its own label.
    type: list
    elements: str
    default: []
  labels:
    description:
      - Labels of its snapshots.
    type: dict
    default: {}
  parameters:
    description:
      - Parameters of its task.
    type: dict
    default: {}
  namespace:
    description:
      - Where Longhorn is in the cluster.
    type: str
    default: longhorn-system
  kubeconfig:
    description:
      - File that says how to reach the cluster. If it is not set, E(K8S_AUTH_KUBECONFIG) or E(KUBECONFIG), or
        C(~/.kube/config).
    type: path
  context:
    description:
      - Context in that file. If it is not set, E(K8S_AUTH_CONTEXT), or the current one.
    type: str
  force_conflicts:
    description:
      - Take fields of the job away from other managers, such as Flux or Argo CD.
    type: bool
    default: false
extends_documentation_fragment:
  - fanout.backup.attributes
  - fanout.backup.server.action_group
attributes:
  check_mode:
    support: full
    details:
      - Asks the server, Longhorn's webhooks included.
  diff_mode:
    support: full
  idempotent:
    support: full
seealso:
  - module: fanout.backup.longhorn_volume
  - module: fanout.backup.longhorn_snapshot_info
"""

EXAMPLES = r"""
- name: Take hourly snapshots and keep them for a day
  fanout.backup.longhorn_recurring_job:
    name: hourly
    cron: 17 * * * *
    retain: 24

- name: Remove the job and its labels, and keep its snapshots
  fanout.backup.longhorn_recurring_job:
    name: hourly
    state: absent
"""

RETURN = r"""
failure:
  description: What failed, for programs. Its C(code) is one of the names of the exit codes, such as V(no_permission).
  returned: failure
  type: dict
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.fanout.backup.plugins.module_utils.longhorn.jobs import JobSpec, ensure_job, remove_job
from ansible_collections.fanout.backup.plugins.module_utils.longhorn.system import connect_to
from ansible_collections.fanout.backup.plugins.module_utils.wiring.argument_spec import ArgumentSpec
from ansible_collections.fanout.backup.plugins.module_utils.wiring.failures import Outcome, run

JOB_OPTIONS = ArgumentSpec(
    {
        "name": {"type": "str", "required": True},
        "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
        "task": {"type": "str", "default": "snapshot"},
        "cron": {"type": "str"},
        "retain": {"type": "int"},
        "concurrency": {"type": "int", "default": 1},
        "groups": {"type": "list", "elements": "str", "default": []},
        "labels": {"type": "dict", "default": {}},
        "parameters": {"type": "dict", "default": {}},
        "namespace": {"type": "str", "default": "longhorn-system"},
        "kubeconfig": {"type": "path"},
        "context": {"type": "str"},
        "force_conflicts": {"type": "bool", "default": False},
    },
    required_if=(("state", "present", ("cron", "retain")),),
)


def ensure(module: AnsibleModule) -> Outcome:
    given = module.params
    longhorn = connect_to(given["kubeconfig"], given["context"], given["namespace"])
    if given["state"] == "absent":
        change = remove_job(longhorn, given["name"], check_mode=module.check_mode)
    else:
        spec = JobSpec(
            name=given["name"],
            task=given["task"],
            cron=given["cron"],
            retain=given["retain"],
            concurrency=given["concurrency"],
            groups=given["groups"],
            labels={name: str(value) for name, value in given["labels"].items()},
            parameters={name: str(value) for name, value in given["parameters"].items()},
        )
        change = ensure_job(longhorn, spec, check_mode=module.check_mode, force=given["force_conflicts"])
    for warning in change.warnings:
        module.warn(warning)
    return Outcome(change.before, change.after)


def main() -> None:
    run(AnsibleModule(supports_check_mode=True, **JOB_OPTIONS.to_kwargs()), ensure)


if __name__ == "__main__":
    main()
