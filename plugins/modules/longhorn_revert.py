# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: longhorn_revert
short_description: Revert the volume of a server to a snapshot, in seconds
version_added: 1.0.0
author:
  - fanout.backup contributors (@fanout-backup)
description:
  - Every app on the server goes back, and O(confirm) must name each of them. Without it the plan is returned and
    nothing is done.
  - Stops what runs on the volume and waits until it is detached, attaches it in maintenance mode, takes a snapshot with
    which the revert can be undone, reverts, looks whether the volume sits on the chosen snapshot, detaches it in every
    case, and starts again what it stopped.
  - Refuses volumes that are standby, migrating, faulted, in use as RWX, resized since the snapshot, one of several
    replicas, or managed by an operator; and servers with more than one volume.
  - A run that was killed anywhere can be run again, also from another machine, and finishes. What it must put back is
    written down in a ConfigMap beside the claim.
options:
  to:
    description:
      - V(latest), a time in UTC such as V(20261125T093000Z) for the newest snapshot of that time or earlier, the
        name of a snapshot, or V(before-revert) to undo the last revert. Needed unless O(action=release).
    type: str
  confirm:
    description:
      - Names of all apps on the server.
    type: list
    elements: str
    default: []
  action:
    description:
      - V(release) gives up a revert that was not finished. It removes our own ticket for the volume, and no other, and
        starts again what the revert stopped.
    type: str
    choices: [revert, release]
    default: revert
extends_documentation_fragment:
  - fanout.backup.attributes
  - fanout.backup.threads.acting
  - fanout.backup.server.action_group
  - fanout.backup.server
seealso:
  - module: fanout.backup.longhorn_snapshot_info
  - module: fanout.backup.longhorn_clone
"""

EXAMPLES = r"""
- name: Undo what happened since the last snapshot
  fanout.backup.longhorn_revert:
    server:
      longhorn_server: shared_postgresql
      longhorn_volumes: {namespace: databases, claims: [data-postgresql-0]}
    apps: [forgejo, nextcloud]
    to: latest
    confirm: [forgejo, nextcloud]

- name: Undo that
  fanout.backup.longhorn_revert:
    server:
      longhorn_server: shared_postgresql
      longhorn_volumes: {namespace: databases, claims: [data-postgresql-0]}
    apps: [forgejo, nextcloud]
    to: before-revert
    confirm: [forgejo, nextcloud]
"""

RETURN = r"""
lines:
  description: The plan, and if it was done, the seconds of each step.
  returned: when there is a plan
  type: list
  elements: str
seconds:
  description: Seconds of each step.
  returned: when it was done
  type: dict
failure:
  description: What failed, for programs. Its C(code) is one of the names of the exit codes, such as V(no_permission).
  returned: failure
  type: dict
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.fanout.backup.plugins.module_utils.contract.errors import BackupError
from ansible_collections.fanout.backup.plugins.module_utils.inventory.longhorn import Server
from ansible_collections.fanout.backup.plugins.module_utils.longhorn import plan, revert
from ansible_collections.fanout.backup.plugins.module_utils.wiring.argument_spec import ArgumentSpec
from ansible_collections.fanout.backup.plugins.module_utils.wiring.failures import Outcome, run
from ansible_collections.fanout.backup.plugins.module_utils.wiring.longhorn import server_of, server_options

REVERT_OPTIONS = ArgumentSpec(
    {
        "to": {"type": "str"},
        "confirm": {"type": "list", "elements": "str", "default": []},
        "action": {"type": "str", "choices": ["revert", "release"], "default": "revert"},
    },
    required_if=(("action", "revert", ("to",)),),
)


def act(module: AnsibleModule) -> Outcome:
    server, wanted = server_of(module), module.params
    if wanted["action"] == "release":
        return _release(server, check_mode=module.check_mode)
    planned = plan.plan(server, wanted["to"])
    lines = planned.lines()
    if module.check_mode:
        return Outcome(values={"lines": [*lines, f"server {server.name}: nothing is done in check mode"]})
    try:
        plan.check_confirmed(server, wanted["confirm"])
        done = revert.run(planned)
    except BackupError as error:
        return Outcome(values={"lines": lines}, failure=error)
    after = {"volume": planned.volume.name, "snapshot": planned.snapshot.name}
    return Outcome(before={}, after=after, values={"lines": [*lines, *done.lines], "seconds": dict(done.seconds)})


def _release(server: Server, *, check_mode: bool) -> Outcome:
    told = revert.release(server, check_mode=check_mode)
    lines = told or [f"server {server.name}: there is nothing to release"]
    return Outcome(before={}, after={"released": told} if told else {}, values={"lines": lines})


def main() -> None:
    spec = REVERT_OPTIONS.merge(server_options())
    run(AnsibleModule(supports_check_mode=True, **spec.to_kwargs()), act)


if __name__ == "__main__":
    main()
