# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: column_ask
short_description: Ask the live source of one app its drill queries
version_added: 1.0.0
author:
  - fanout.backup contributors (@fanout-backup)
description:
  - Asks C(app_drill_queries) with the login of backups, after a revert for example. Nothing is restored.
  - Fails if a query has no answer, or not the one that its value requires.
extends_documentation_fragment:
  - fanout.backup.attributes
  - fanout.backup.threads.acting
  - fanout.backup.threads.action_group
  - fanout.backup.threads
  - fanout.backup.column
seealso:
  - module: fanout.backup.column_drill
  - module: fanout.backup.longhorn_revert
"""

EXAMPLES = r"""
- name: See that forgejo's database has its people
  fanout.backup.column_ask:
    app:
      app_name: forgejo
      app_database: forgejo
      app_destinations:
        nas: {kind: directory, path: /mnt/nas}
      app_recovery_recipients: ["{{ recovery_recipient }}"]
      app_drill_queries:
        - {name: people, sql: 'SELECT count(*) FROM "user"', compare: at_least, value: 1}
"""

RETURN = r"""
lines:
  description: One line for each query.
  returned: always
  type: list
  elements: str
threads:
  description: Always empty.
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

from ansible_collections.fanout.backup.plugins.module_utils.actions.queries import asked
from ansible_collections.fanout.backup.plugins.module_utils.contract.errors import DataRefused
from ansible_collections.fanout.backup.plugins.module_utils.contract.thread import ThreadName
from ansible_collections.fanout.backup.plugins.module_utils.inventory.column import Column
from ansible_collections.fanout.backup.plugins.module_utils.platforms.registry import acts_of
from ansible_collections.fanout.backup.plugins.module_utils.wiring.failures import Outcome, run
from ansible_collections.fanout.backup.plugins.module_utils.wiring.threads import on_threads, thread_options


def ask(module: AnsibleModule) -> Outcome:
    def act(column: Column, threads: Sequence[ThreadName]) -> Outcome:
        queries = [query for source in column.sources.values() for query in source.queries]
        live = acts_of(column).ask(column, threads) if queries else {}
        lines, wrong = asked(queries, live)
        failure = DataRefused(
            "; ".join(wrong), remedy="look at the app and its database", subject=column.app, doing="asking its database"
        )
        values = {"lines": [f"{column.app}  {line}" for line in lines], "threads": []}
        return Outcome(values=values, failure=failure if wrong else None)

    return on_threads(module, act)


def main() -> None:
    run(AnsibleModule(supports_check_mode=True, **thread_options().to_kwargs()), ask)


if __name__ == "__main__":
    main()
