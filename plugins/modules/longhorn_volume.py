# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: longhorn_volume
short_description: Ensure that the volumes of a server run its recurring jobs, beside what they run already
version_added: 1.0.0
author:
  - fanout.backup contributors (@fanout-backup)
description:
  - Labels the claims of a server. Its volumes then run its recurring jobs.
  - Longhorn takes every job and group from a volume that its labelled claim does not name, and its place in the group
    V(default). So what a volume runs is read first, and goes onto the claim in the same request.
  - A volume that is in no other group than V(default) is refused, until C(longhorn_default_group) says what its owner
    wants. Off-site backups often run through that group.
  - Waits until Longhorn has given each volume exactly the jobs and groups of its claim, which takes up to 60 seconds.
  - Warns about jobs and settings that would delete the snapshots, or keep them for ever.
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
notes:
  - M(fanout.backup.longhorn_recurring_job) with O(fanout.backup.longhorn_recurring_job#module:state=absent) takes the
    labels off again.
seealso:
  - module: fanout.backup.longhorn_recurring_job
"""

EXAMPLES = r"""
- name: Ensure that a server's volumes run its jobs
  fanout.backup.longhorn_volume:
    server:
      longhorn_server: shared_postgresql
      longhorn_volumes: {namespace: databases, claims: [data-postgresql-0]}
    apps: [forgejo, nextcloud]
"""

RETURN = r"""
failure:
  description: What failed, for programs. Its C(code) is one of the names of the exit codes, such as V(no_permission).
  returned: failure
  type: dict
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.fanout.backup.plugins.module_utils.longhorn.membership import opt_in
from ansible_collections.fanout.backup.plugins.module_utils.wiring.failures import Outcome, run
from ansible_collections.fanout.backup.plugins.module_utils.wiring.longhorn import server_of, server_options


def ensure(module: AnsibleModule) -> Outcome:
    change = opt_in(server_of(module), check_mode=module.check_mode)
    for warning in change.warnings:
        module.warn(warning)
    return Outcome(change.before, change.after)


def main() -> None:
    run(AnsibleModule(supports_check_mode=True, **server_options().to_kwargs()), ensure)


if __name__ == "__main__":
    main()
