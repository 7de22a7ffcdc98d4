# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: column_recover_history
short_description: Bring back backups of one app that somebody else hid or overwrote
version_added: 1.0.0
author:
  - fanout.backup contributors (@fanout-backup)
description:
  - Whoever has stolen the key of a thread can hide its backups and store other things under their names, but cannot
    delete. This module brings back the hidden backups that C(app_keep) promises and that no retirement explains, the
    first versions of what was written again, and the verdicts of drills.
  - What was stored over a first version is deleted, once the first version was read and is what its manifest says.
  - No key of a thread may delete. At Backblaze B2 a key is minted that may, for this app's prefix alone, and is deleted
    at the end. It never outlives the longest run of the app. At other S3 servers the thread's own key is tried.
  - Stop the thief first, with O(fanout.backup.b2_application_key#module:revoke) of M(fanout.backup.b2_application_key).
  - In check mode it says what would come back.
extends_documentation_fragment:
  - fanout.backup.attributes
  - fanout.backup.threads
  - fanout.backup.threads.acting
  - fanout.backup.threads.action_group
  - fanout.backup.column
  - fanout.backup.b2
seealso:
  - module: fanout.backup.b2_application_key
  - module: fanout.backup.column_info
"""

EXAMPLES = r"""
- name: Bring back what a thief of forgejo's key has hidden
  fanout.backup.column_recover_history:
    app:
      app_name: forgejo
      app_database: forgejo
      app_destinations:
        b2: {kind: b2, bucket: example-backups}
      app_recovery_recipients: ["{{ recovery_recipient }}"]
"""

RETURN = r"""
lines:
  description: All lines that the command wrote for people.
  returned: when something was done
  type: list
  elements: str
threads:
  description:
    - One entry for each selected thread, even if the module fails, of the shape that
      M(fanout.backup.column_backup) returns.
    - Its C(ok) says whether everything came back that should.
  returned: always
  type: list
  elements: dict
failure:
  description: What failed, for programs. Its C(code) is one of the names of the exit codes, such as V(no_permission).
  returned: failure
  type: dict
"""

import contextlib

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.fanout.backup.plugins.module_utils.actions.temporary_key import lent_key
from ansible_collections.fanout.backup.plugins.module_utils.contract.destination import B2Destination
from ansible_collections.fanout.backup.plugins.module_utils.contract.errors import BackupError, about
from ansible_collections.fanout.backup.plugins.module_utils.contract.thread import ThreadName
from ansible_collections.fanout.backup.plugins.module_utils.inventory.column import Column
from ansible_collections.fanout.backup.plugins.module_utils.platforms.base import ThreadResult
from ansible_collections.fanout.backup.plugins.module_utils.platforms.registry import acts_of
from ansible_collections.fanout.backup.plugins.module_utils.wiring.b2 import b2_connect, b2_options
from ansible_collections.fanout.backup.plugins.module_utils.wiring.failures import Outcome, hide, run
from ansible_collections.fanout.backup.plugins.module_utils.wiring.threads import (
    chosen_threads,
    outcome_of,
    skipped,
    thread_options,
)


def recover_history(module: AnsibleModule) -> Outcome:
    column, chosen = chosen_threads(module)
    if not column.present:
        return skipped(f"{column.app}: nothing to do, app_state is absent")
    threads = [_recovered(module, column, name) for name in chosen]
    back = {
        thread.thread: found
        for thread in threads
        if (found := [*_history(thread).get("artifacts", ()), *_history(thread).get("verdicts", ())])
    }
    lines = [line for thread in threads for line in thread.lines]
    return outcome_of(threads, Outcome(before={}, after=back, values={"lines": lines}))


def _recovered(module: AnsibleModule, column: Column, name: ThreadName) -> ThreadResult:
    where = column.destination_of(name)
    try:
        with about(str(name), "bringing back its history"), contextlib.ExitStack() as stack:
            key = None
            if isinstance(where, B2Destination) and not module.check_mode:
                client = b2_connect(module)(where.api_url)
                key = stack.enter_context(lent_key(client, column, name, where, hide(module)))
            return acts_of(column).recover_history(column, name, key, module.check_mode)
    except BackupError as error:
        return ThreadResult(str(name), failure=error)


def _history(thread: ThreadResult) -> dict[str, list[str]]:
    found = thread.result.get("history")
    return found if isinstance(found, dict) else {}


def main() -> None:
    spec = thread_options().merge(b2_options())
    run(AnsibleModule(supports_check_mode=True, **spec.to_kwargs()), recover_history)


if __name__ == "__main__":
    main()
