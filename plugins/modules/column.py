# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: column
short_description: Manage the backup column of one app
version_added: 1.0.0
author:
  - fanout.backup contributors (@fanout-backup)
description:
  - Writes everything that the threads and drills of one app need to run without Ansible, and starts their timers.
  - On platform V(host) that is a folder below C(app_host_directory) with mode 0700. It holds C(thread.json) for each
    thread, the password of each source, keys of destinations of kind V(s3), the drill identity, and units for systemd.
  - On platform V(kubernetes) these are objects in the namespace C(backup-<app>), applied on the server's side with the
    field manager V(fanout.backup). For each thread there are a ServiceAccount without token, a ConfigMap with
    C(thread.json), Secrets, NetworkPolicies, CronJobs for backups and drills, and for a folder on an NFS server a
    PersistentVolume with its claim. Only objects with its own labels are ever removed.
  - The drill identity is made once and never replaced or removed, because it decrypts the copies that exist.
  - Each prefix has one owner, whom its C(owner.json) names, at every kind of destination. It is written the first time.
    A prefix is refused unless O(take_over) is set, if it is another owner's, if it holds something and has no
    C(owner.json), or if it had one before, such as on an empty mount point.
  - What belongs to threads that left the inventory is removed, except keys of Backblaze, which
    M(fanout.backup.b2_application_key) deletes.
  - If a thread cannot be rolled out, the module rolls out all others and then fails.
  - With C(app_state) V(absent) the timers are stopped and the files removed. Backups and the drill identity stay.
options:
  take_over:
    description:
      - Make prefixes this column's that belong to another owner, such as a control node that is gone, or to nobody.
      - Whoever wrote there before is refused from then on.
    type: bool
    default: false
extends_documentation_fragment:
  - fanout.backup.attributes
  - fanout.backup.threads.action_group
  - fanout.backup.column
attributes:
  check_mode:
    support: full
    details:
      - What only a roll-out can make, the drill identity, is shown as V(<made at roll-out>).
  diff_mode:
    support: full
    details:
      - Of files that hold secrets it shows only whether they are set or changed.
  idempotent:
    support: full
notes:
  - On platform V(kubernetes) a field that somebody else manages is a conflict that names the other manager, unless
    C(app_force_conflicts) is set. NetworkPolicies in the database's namespace that keep backups out are reported as
    warnings.
  - Where systemd runs, units are linked and timers enabled, in the system's instance for root and in the user's own
    otherwise. Where it does not run, they are written only, with a warning.
seealso:
  - module: fanout.backup.b2_application_key
  - module: fanout.backup.column_backup
  - module: fanout.backup.column_info
"""

EXAMPLES = r"""
- name: Create a column for forgejo
  fanout.backup.column:
    app:
      app_name: forgejo
      app_database: forgejo
      app_destinations:
        b2: {kind: b2, bucket: example-backups}
        nas: {kind: directory, path: /mnt/nas}
      app_recovery_recipients: ["{{ recovery_recipient }}"]
    secrets:
      app_database_password: "{{ vault_forgejo_password }}"

- name: Stop it again and keep its backups
  fanout.backup.column:
    app:
      app_name: forgejo
      app_database: forgejo
      app_destinations:
        b2: {kind: b2, bucket: example-backups}
        nas: {kind: directory, path: /mnt/nas}
      app_recovery_recipients: ["{{ recovery_recipient }}"]
      app_state: absent
"""

RETURN = r"""
folder:
  description: Where the column is on platform V(host).
  returned: success, on platform V(host)
  type: str
namespace:
  description: Where the column is in the cluster.
  returned: success, on platform V(kubernetes)
  type: str
unproved:
  description:
    - What M(fanout.backup.column_probe) has still to prove of the column as it is now. V(all) if it never passed,
      V(login) if the login changed since it passed, else empty.
  returned: always
  type: str
failure:
  description: What failed, for programs. Its C(code) is one of the names of the exit codes, such as V(no_permission).
  returned: failure
  type: dict
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.fanout.backup.plugins.module_utils.platforms.probe_record import UNPROVED
from ansible_collections.fanout.backup.plugins.module_utils.platforms.registry import roll_out_of
from ansible_collections.fanout.backup.plugins.module_utils.wiring.argument_spec import ArgumentSpec
from ansible_collections.fanout.backup.plugins.module_utils.wiring.column import column_of, column_options
from ansible_collections.fanout.backup.plugins.module_utils.wiring.failures import Outcome, run


def ensure(module: AnsibleModule) -> Outcome:
    column = column_of(module)
    roll_out = roll_out_of(column)
    if column.present:
        change = roll_out.present(column, module.check_mode, module.params["take_over"])
    else:
        change = roll_out.absent(column, module.check_mode)
    for warning in change.warnings:
        module.warn(warning)
    where = {"namespace": column.namespace} if column.platform == "kubernetes" else {"folder": str(column.folder)}
    values = {**where, "unproved": UNPROVED[change.proof]}
    return Outcome(change.before, change.after, values, change.failure)


def main() -> None:
    spec = ArgumentSpec({"take_over": {"type": "bool", "default": False}}).merge(column_options())
    run(AnsibleModule(supports_check_mode=True, **spec.to_kwargs()), ensure)


if __name__ == "__main__":
    main()
