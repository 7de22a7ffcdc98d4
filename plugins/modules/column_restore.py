# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: column_restore
short_description: Restore a backup of one app beside the live source
version_added: 1.0.0
author:
  - fanout.backup contributors (@fanout-backup)
description:
  - Fetches a backup with the thread's own key, restores it into a new database on the live server and compares
    everything, as a drill does. The live database is not touched. The SQL that switches to the new database is returned
    and left to its owner.
  - An existing database is never overwritten. A failed restore leaves nothing behind.
  - Also fails if the restored database differs from its backup. The database is kept then, so that you can look at it.
  - Needs a login that may create databases, and roles and extensions where they are missing. That is
    C(app_restore_user) with C(app_restore_password), or else the login of backups.
options:
  to:
    description:
      - Name of the new database.
    type: str
    required: true
  at:
    description:
      - Restore the newest backup of this time (UTC) or earlier, such as V(20261125T093000Z). If it is not set, the
        newest.
    type: str
  only:
    description:
      - Restore these parts only. Of a database they are tables, each as C(schema.table), with their rows, sequences,
        indexes and constraints. Triggers, policies, grants, views and constraints that refer to other tables are left
        out, and named.
    type: list
    elements: str
  source:
    description:
      - Name of the source that is restored. Required if the app has several.
    type: str
  destination:
    description:
      - Name of the destination in C(app_destinations) that has the backup. If it is not set, the first whose copies are
        drilled.
    type: str
extends_documentation_fragment:
  - fanout.backup.attributes
  - fanout.backup.threads.acting
  - fanout.backup.threads.action_group
  - fanout.backup.column
seealso:
  - module: fanout.backup.column_drill
"""

EXAMPLES = r"""
- name: Restore forgejo as it was before the accident
  fanout.backup.column_restore:
    app:
      app_name: forgejo
      app_database: forgejo
      app_destinations:
        b2: {kind: b2, bucket: example-backups}
        nas: {kind: directory, path: /mnt/nas}
      app_recovery_recipients: ["{{ recovery_recipient }}"]
      app_restore_user: postgres
    secrets:
      app_restore_password: "{{ vault_postgres_password }}"
    to: forgejo_restored
    at: 20261125T093000Z

- name: Restore a single table from the NAS
  fanout.backup.column_restore:
    app:
      app_name: forgejo
      app_database: forgejo
      app_destinations:
        b2: {kind: b2, bucket: example-backups}
        nas: {kind: directory, path: /mnt/nas}
      app_recovery_recipients: ["{{ recovery_recipient }}"]
    to: forgejo_issues
    only: [public.issue]
    destination: nas
"""

RETURN = r"""
result:
  description:
    - V(pass), V(fail) if the new database differs from its backup, V(inconclusive) if it could not be compared. Empty
      if nothing was restored.
  returned: when something was done
  type: str
steps:
  description: How to switch to the new database and back, as lines for psql.
  returned: when something was done
  type: list
  elements: str
lines:
  description: All lines that the command wrote for people.
  returned: when something was done
  type: list
  elements: str
threads:
  description:
    - One entry, for the thread that the backup comes from, of the shape that M(fanout.backup.column_backup) returns.
    - Its C(ok) says whether the backup was restored and the new database equals it.
  returned: always
  type: list
  elements: dict
failure:
  description: What failed, for programs. Its C(code) is one of the names of the exit codes, such as V(no_permission).
  returned: failure
  type: dict
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.fanout.backup.plugins.module_utils.contract.errors import ROLL_OUT, ConfigurationError
from ansible_collections.fanout.backup.plugins.module_utils.contract.thread import ThreadName
from ansible_collections.fanout.backup.plugins.module_utils.inventory.column import Column
from ansible_collections.fanout.backup.plugins.module_utils.platforms.registry import acts_of
from ansible_collections.fanout.backup.plugins.module_utils.wiring.argument_spec import ArgumentSpec
from ansible_collections.fanout.backup.plugins.module_utils.wiring.column import column_of, column_options
from ansible_collections.fanout.backup.plugins.module_utils.wiring.failures import Outcome, run
from ansible_collections.fanout.backup.plugins.module_utils.wiring.threads import check_name, outcome_of, skipped

RESTORE_OPTIONS = ArgumentSpec(
    {
        "to": {"type": "str", "required": True},
        "at": {"type": "str"},
        "only": {"type": "list", "elements": "str"},
        "source": {"type": "str"},
        "destination": {"type": "str"},
    }
)


def restore(module: AnsibleModule) -> Outcome:
    column, wanted = column_of(module), module.params
    name = _thread(module, column)
    if not column.present:
        raise ConfigurationError(
            "app_state is absent, so there is no key to fetch a backup with",
            subject=column.app,
            remedy=f"set app_state to present and {ROLL_OUT} first",
        )
    if module.check_mode:
        return skipped(f"{name}: nothing is done in check mode")
    thread = acts_of(column).restore(column, name, wanted["to"], wanted["at"], wanted["only"] or ())
    result = thread.result.get("result", "")
    values = {"result": result, "steps": thread.result.get("steps", []), "lines": thread.lines}
    after = {"restored": wanted["to"]} if result else {}
    return outcome_of([thread], Outcome(before={}, after=after, values=values))


def _thread(module: AnsibleModule, column: Column) -> ThreadName:
    """Return the thread that the options name. Raise ConfigurationError if there is none."""
    source, destination = module.params["source"], module.params["destination"]
    if source is None and len(column.sources) > 1:
        raise ConfigurationError(
            "it has several sources", subject=column.app, remedy=f"name one of {', '.join(column.sources)}"
        )
    source = source or next(iter(column.sources))
    destination = destination or (*column.drill_destinations, *column.destinations)[0]
    check_name(column, source, column.sources, "source")
    check_name(column, destination, column.destinations, "destination")
    return ThreadName(column.app, source, destination)


def main() -> None:
    spec = RESTORE_OPTIONS.merge(column_options())
    run(AnsibleModule(supports_check_mode=True, **spec.to_kwargs()), restore)


if __name__ == "__main__":
    main()
