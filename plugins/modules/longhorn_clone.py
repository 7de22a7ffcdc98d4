# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: longhorn_clone
short_description: Create a new volume from a snapshot of a server's volume
version_added: 1.0.0
author:
  - fanout.backup contributors (@fanout-backup)
description:
  - Creates a PersistentVolumeClaim beside the server's own, with the data of a snapshot, to look into before a revert
    or instead of one. The server goes on.
  - Needs the snapshot controller of Kubernetes, which k3s does not bring. The snapshot stays within Longhorn.
  - The clone is found again by its name. So a second call changes nothing, whatever the newest snapshot is by then.
options:
  to:
    description:
      - Name of the new claim.
    type: str
    required: true
  snapshot:
    description:
      - V(latest), a time in UTC such as V(20261125T093000Z) for the newest snapshot of that time or earlier, or the
        name of a snapshot.
    type: str
    default: latest
  claim:
    description:
      - Which of the server's claims. Needed if it has more than one.
    type: str
extends_documentation_fragment:
  - fanout.backup.attributes
  - fanout.backup.server.action_group
  - fanout.backup.server
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
  idempotent:
    support: full
seealso:
  - module: fanout.backup.longhorn_revert
"""

EXAMPLES = r"""
- name: Look into the newest snapshot
  fanout.backup.longhorn_clone:
    server:
      longhorn_server: shared_postgresql
      longhorn_volumes: {namespace: databases, claims: [data-postgresql-0]}
    apps: [forgejo, nextcloud]
    to: postgresql-look
"""

RETURN = r"""
lines:
  description: What was cloned, and how to remove the clone.
  returned: success
  type: list
  elements: str
failure:
  description: What failed, for programs. Its C(code) is one of the names of the exit codes, such as V(no_permission).
  returned: failure
  type: dict
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.fanout.backup.plugins.module_utils.longhorn.clone import clone
from ansible_collections.fanout.backup.plugins.module_utils.wiring.argument_spec import ArgumentSpec
from ansible_collections.fanout.backup.plugins.module_utils.wiring.failures import Outcome, run
from ansible_collections.fanout.backup.plugins.module_utils.wiring.longhorn import server_of, server_options

CLONE_OPTIONS = ArgumentSpec(
    {
        "to": {"type": "str", "required": True},
        "snapshot": {"type": "str", "default": "latest"},
        "claim": {"type": "str"},
    }
)


def act(module: AnsibleModule) -> Outcome:
    wanted = module.params
    done = clone(server_of(module), wanted["to"], wanted["snapshot"], wanted["claim"], check_mode=module.check_mode)
    return Outcome(done.before, done.after, {"lines": done.lines})


def main() -> None:
    spec = CLONE_OPTIONS.merge(server_options())
    run(AnsibleModule(supports_check_mode=True, **spec.to_kwargs()), act)


if __name__ == "__main__":
    main()
