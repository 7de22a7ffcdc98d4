# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: column_info
short_description: Show how old and how proven the copies of one app are
version_added: 1.0.0
author:
  - fanout.backup contributors (@fanout-backup)
description:
  - Looks at each destination with the thread's own key and trusts nothing but what lies there.
  - Returns problems, such as a destination that does not answer, and does not fail because of them.
  - Compares the column with what M(fanout.backup.column) would make of it, by reading alone. What differs is a problem
    of its thread, and so is that it cannot be compared, and a suspended CronJob, though a roll-out leaves it so.
  - Returns no threads for a column that is absent.
  - Warns if no recovery identity of the app has answered a challenge of M(fanout.backup.recovery_check) for 365 days.
  - Warns about what the newest backup says about its source, such as a library for sorting that has changed under the
    data.
options:
  claimed:
    description:
      - Names of all apps in the inventory. Columns of other names on the same platform are returned as RV(unclaimed).
    type: list
    elements: str
extends_documentation_fragment:
  - fanout.backup.attributes
  - fanout.backup.attributes.info
  - fanout.backup.threads.action_group
  - fanout.backup.column
seealso:
  - module: fanout.backup.column_backup
  - module: fanout.backup.column_drill
  - module: fanout.backup.recovery_check
"""

EXAMPLES = r"""
- name: Look at the copies of forgejo
  fanout.backup.column_info:
    app:
      app_name: forgejo
      app_database: forgejo
      app_destinations:
        b2: {kind: b2, bucket: example-backups}
        nas: {kind: directory, path: /mnt/nas}
      app_recovery_recipients: ["{{ recovery_recipient }}"]
    claimed: "{{ groups.apps }}"
  register: result

- name: Stop if something is wrong with them
  ansible.builtin.assert:
    that: result.problems | length == 0
"""

RETURN = r"""
threads:
  description: One entry for each thread.
  returned: success
  type: list
  elements: dict
  contains:
    thread:
      description: The thread's name, such as V(forgejo/database/b2).
      type: str
      returned: success
    status:
      description:
        - What lies at the destination, ages in seconds. None if it could not be looked at.
      type: dict
      returned: success
    problems:
      description: Reasons not to rely on this thread.
      type: list
      elements: str
      returned: success
    line:
      description: The last line that the command wrote for people.
      type: str
      returned: success
problems:
  description: The problems of all threads, each with the thread's name.
  returned: success
  type: list
  elements: str
unclaimed:
  description: Names of columns that are not in O(claimed). Empty if it is not set.
  returned: success
  type: list
  elements: str
failure:
  description: What failed, for programs. Its C(code) is one of the names of the exit codes, such as V(no_permission).
  returned: failure
  type: dict
"""

from datetime import UTC, datetime

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.fanout.backup.plugins.module_utils.actions import recovery
from ansible_collections.fanout.backup.plugins.module_utils.contract.errors import BackupError
from ansible_collections.fanout.backup.plugins.module_utils.inventory.column import Column
from ansible_collections.fanout.backup.plugins.module_utils.platforms.base import Drift
from ansible_collections.fanout.backup.plugins.module_utils.platforms.registry import acts_of, drift_of
from ansible_collections.fanout.backup.plugins.module_utils.wiring.argument_spec import ArgumentSpec
from ansible_collections.fanout.backup.plugins.module_utils.wiring.column import column_of, column_options
from ansible_collections.fanout.backup.plugins.module_utils.wiring.failures import Outcome, run
from ansible_collections.fanout.backup.plugins.module_utils.wiring.threads import status_of

INFO_OPTIONS = ArgumentSpec({"claimed": {"type": "list", "elements": "str"}})


def describe(module: AnsibleModule) -> Outcome:
    column, claimed = column_of(module), module.params["claimed"]
    acts = acts_of(column)
    threads = []
    if column.present:
        # First: what is told of a missing object is told at once, and without a pod that waits for it.
        drift = _drift(column)
        threads = [status_of(thread, drift) for thread in acts.info(column)]
        for warning in recovery.warnings_of(column, datetime.now(UTC)):
            module.warn(warning)
    for thread in threads:
        for notice in (thread["status"] or {}).get("notices", ()):
            module.warn(f"{thread['thread']}: {notice}")
    return Outcome(
        values={
            "threads": threads,
            "problems": [f"{thread['thread']}: {problem}" for thread in threads for problem in thread["problems"]],
            "unclaimed": [] if claimed is None else [name for name in acts.columns(column) if name not in claimed],
        }
    )


def _drift(column: Column) -> Drift:
    try:
        return drift_of(column).differences(column)
    except BackupError as error:
        return {"": [f"whether it is as it would be rolled out is unknown: {error.problem}. Remedy: {error.remedy}"]}


def main() -> None:
    spec = INFO_OPTIONS.merge(column_options())
    run(AnsibleModule(supports_check_mode=True, **spec.to_kwargs()), describe)


if __name__ == "__main__":
    main()
