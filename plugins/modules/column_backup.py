# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: column_backup
short_description: Back up one app now, in all of its threads
version_added: 1.0.0
author:
  - fanout.backup contributors (@fanout-backup)
description:
  - Runs the command of each thread at once, exactly as its timer does, and waits for all of them. A slow destination
    holds up no other, and one that hangs is ended a minute after C(app_deadline).
  - On platform V(kubernetes) that is a Job made from the thread's CronJob. A pod that does not start or is ended from
    outside is reported in words, with the events about it.
  - Fails if any thread failed, after all have ended, and names every one that did.
  - A backup that shrank beyond C(app_shrink_limit) is kept, marked, and fails its thread.
  - A server that is not the one of the newest backup is refused before anything is dumped.
options:
  accept_shrink:
    description:
      - Take a much smaller database as the new normal.
    type: bool
    default: false
  accept_server:
    description:
      - Back up a server other than that of the newest backup, once, after an upgrade or a move.
    type: bool
    default: false
extends_documentation_fragment:
  - fanout.backup.attributes
  - fanout.backup.threads
  - fanout.backup.threads.acting
  - fanout.backup.threads.action_group
  - fanout.backup.column
seealso:
  - module: fanout.backup.column
  - module: fanout.backup.column_drill
"""

EXAMPLES = r"""
- name: Back up forgejo everywhere
  fanout.backup.column_backup:
    app:
      app_name: forgejo
      app_database: forgejo
      app_destinations:
        b2: {kind: b2, bucket: example-backups}
        nas: {kind: directory, path: /mnt/nas}
      app_recovery_recipients: ["{{ recovery_recipient }}"]

- name: Back up forgejo to the NAS only, after a big clean-up in the app
  fanout.backup.column_backup:
    app:
      app_name: forgejo
      app_database: forgejo
      app_destinations:
        b2: {kind: b2, bucket: example-backups}
        nas: {kind: directory, path: /mnt/nas}
      app_recovery_recipients: ["{{ recovery_recipient }}"]
    destinations: [nas]
    accept_shrink: true
"""

RETURN = r"""
threads:
  description: One entry for each selected thread, even if the module fails.
  returned: always
  type: list
  elements: dict
  contains:
    thread:
      description: The thread's name, such as V(forgejo/database/b2).
      type: str
      returned: always
    ok:
      description: Whether the backup was made and is good.
      type: bool
      returned: always
    exit_code:
      description: Exit code of the command C(fanout). None if it was not run or did not end.
      type: int
      returned: always
    line:
      description: The last line that the command wrote for people.
      type: str
      returned: always
    result:
      description: The JSON line of the command.
      type: dict
      returned: always
    failure:
      description: What failed in this thread. None if nothing did.
      type: dict
      returned: always
failure:
  description: What failed, for programs. Its C(code) is one of the names of the exit codes, such as V(no_permission).
  returned: failure
  type: dict
"""

from collections.abc import Sequence

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.fanout.backup.plugins.module_utils.contract.thread import ThreadName
from ansible_collections.fanout.backup.plugins.module_utils.inventory.column import Column
from ansible_collections.fanout.backup.plugins.module_utils.platforms.registry import acts_of
from ansible_collections.fanout.backup.plugins.module_utils.wiring.argument_spec import ArgumentSpec
from ansible_collections.fanout.backup.plugins.module_utils.wiring.failures import Outcome, run
from ansible_collections.fanout.backup.plugins.module_utils.wiring.threads import on_threads, outcome_of, thread_options

ACCEPTED = ("accept_shrink", "accept_server")
BACKUP_OPTIONS = ArgumentSpec({name: {"type": "bool", "default": False} for name in ACCEPTED})


def back_up(module: AnsibleModule) -> Outcome:
    def act(column: Column, threads: Sequence[ThreadName]) -> Outcome:
        accept = [f"--{name.replace('_', '-')}" for name in ACCEPTED if module.params[name]]
        results = acts_of(column).backup(column, threads, accept)
        made = {thread.thread: thread.result["artifact"] for thread in results if "artifact" in thread.result}
        return outcome_of(results, Outcome(before={}, after=made))

    return on_threads(module, act)


def main() -> None:
    spec = BACKUP_OPTIONS.merge(thread_options())
    run(AnsibleModule(supports_check_mode=True, **spec.to_kwargs()), back_up)


if __name__ == "__main__":
    main()
