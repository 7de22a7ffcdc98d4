# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: longhorn_snapshot_info
short_description: Show the snapshots of a server's volumes and their age
version_added: 1.0.0
author:
  - fanout.backup contributors (@fanout-backup)
description:
  - Looks at Longhorn's Snapshot objects, and counts those with the label of the server's own jobs. A job that succeeded
    proves nothing, because Longhorn reports success even if it took no snapshot.
  - Returns problems and does not fail because of them. They are old or missing snapshots, snapshots that pile up, a
    volume that is detached or faulted, a job whose pod is stuck, a revert that was not finished.
  - Warns about jobs and settings that delete snapshots, or keep them for ever.
extends_documentation_fragment:
  - fanout.backup.attributes
  - fanout.backup.attributes.info
  - fanout.backup.server.action_group
  - fanout.backup.server
seealso:
  - module: fanout.backup.longhorn_volume
  - module: fanout.backup.longhorn_revert
"""

EXAMPLES = r"""
- name: Look at the snapshots of a server
  fanout.backup.longhorn_snapshot_info:
    server:
      longhorn_server: shared_postgresql
      longhorn_volumes: {namespace: databases, claims: [data-postgresql-0]}
    apps: [forgejo, nextcloud]
  register: result

- name: Stop if something is wrong with them
  ansible.builtin.assert:
    that: result.problems | length == 0
"""

RETURN = r"""
volumes:
  description: One entry for each volume.
  returned: success
  type: list
  elements: dict
  contains:
    claim:
      description: Its claim, such as V(databases/data-postgresql-0).
      type: str
      returned: success
    volume:
      description: Its name for Longhorn.
      type: str
      returned: success
    state:
      description: V(attached) or V(detached), or on the way to one of them.
      type: str
      returned: success
    snapshots:
      description: Its snapshots, newest first, of whatever job. Times are UTC, sizes bytes.
      type: list
      elements: dict
      returned: success
    problems:
      description: Reasons not to rely on its snapshots.
      type: list
      elements: str
      returned: success
problems:
  description: The problems of all volumes, each with the claim's name, and those of the jobs.
  returned: success
  type: list
  elements: str
lines:
  description: One line for each volume, for people.
  returned: success
  type: list
  elements: str
failure:
  description: What failed, for programs. Its C(code) is one of the names of the exit codes, such as V(no_permission).
  returned: failure
  type: dict
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.fanout.backup.plugins.module_utils.longhorn.status import look
from ansible_collections.fanout.backup.plugins.module_utils.wiring.failures import Outcome, run
from ansible_collections.fanout.backup.plugins.module_utils.wiring.longhorn import server_of, server_options


def describe(module: AnsibleModule) -> Outcome:
    server = server_of(module)
    if not server.present:
        return Outcome(values={"volumes": [], "problems": [], "lines": []})
    found = look(server)
    for warning in found.warnings:
        module.warn(warning)
    return Outcome(values={"volumes": found.volumes, "problems": found.problems, "lines": found.lines})


def main() -> None:
    run(AnsibleModule(supports_check_mode=True, **server_options().to_kwargs()), describe)


if __name__ == "__main__":
    main()
