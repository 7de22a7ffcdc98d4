# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: column_drill
short_description: Prove that the backups of one app can be restored
version_added: 1.0.0
author:
  - fanout.backup contributors (@fanout-backup)
description:
  - Fetches the newest backup from each destination with the thread's own key, restores it into a scratch server and
    compares everything with what the source said when the backup was made.
  - The app's queries are asked of the live database too, beforehand and in a run of its own. Its answers are shown
    beside the others and never judged.
  - Fails unless every drill passed. A backup that is bad (V(fail)) and a drill that could not run (V(inconclusive))
    are told apart.
  - On platform V(kubernetes) the scratch server is a container of C(app_drill_image) beside the drill, which nothing
    reaches over a network.
  - Never reports a change. Each verdict is stored beside the backups.
options:
  destinations:
    description:
      - Names of destinations in C(app_destinations) whose copies are drilled. If it is not set, those in
        C(app_drill_destinations).
    type: list
    elements: str
  at:
    description:
      - Drill the newest backup of this time (UTC) or earlier, such as V(20261125T093000Z). If it is not set, the
        newest.
    type: str
extends_documentation_fragment:
  - fanout.backup.attributes
  - fanout.backup.threads
  - fanout.backup.threads.acting
  - fanout.backup.threads.action_group
  - fanout.backup.column
seealso:
  - module: fanout.backup.column_backup
"""

EXAMPLES = r"""
- name: Drill forgejo
  fanout.backup.column_drill:
    app:
      app_name: forgejo
      app_database: forgejo
      app_destinations:
        b2: {kind: b2, bucket: example-backups}
        nas: {kind: directory, path: /mnt/nas}
      app_recovery_recipients: ["{{ recovery_recipient }}"]
  register: drill

- name: Drill what lay on the NAS last night
  fanout.backup.column_drill:
    app:
      app_name: forgejo
      app_database: forgejo
      app_destinations:
        b2: {kind: b2, bucket: example-backups}
        nas: {kind: directory, path: /mnt/nas}
      app_recovery_recipients: ["{{ recovery_recipient }}"]
    destinations: [nas]
    at: 20261125T000000Z
"""

RETURN = r"""
verdicts:
  description: By thread, V(pass), V(fail) or V(inconclusive).
  returned: always
  type: dict
  sample: {forgejo/database/b2: pass}
lines:
  description: All lines that the drills wrote for people.
  returned: always
  type: list
  elements: str
threads:
  description:
    - One entry for each selected thread, even if the module fails, of the shape that
      M(fanout.backup.column_backup) returns.
    - Its C(ok) says whether the drill passed.
  returned: always
  type: list
  elements: dict
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

DRILL_OPTIONS = ArgumentSpec({"at": {"type": "str"}})


def drill(module: AnsibleModule) -> Outcome:
    def act(column: Column, threads: Sequence[ThreadName]) -> Outcome:
        results = acts_of(column).drill(column, threads, module.params["at"])
        values = {
            "verdicts": {thread.thread: thread.result.get("result", "inconclusive") for thread in results},
            "lines": [line for thread in results for line in thread.lines],
        }
        return outcome_of(results, Outcome(values=values))

    return on_threads(module, act, usual=lambda column: column.drill_destinations)


def main() -> None:
    spec = DRILL_OPTIONS.merge(thread_options())
    run(AnsibleModule(supports_check_mode=True, **spec.to_kwargs()), drill)


if __name__ == "__main__":
    main()
