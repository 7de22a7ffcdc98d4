# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: column_probe
short_description: Prove what the keys and the login of one app can reach, and what they cannot
version_added: 1.0.0
author:
  - fanout.backup contributors (@fanout-backup)
description:
  - Lets each thread write, read and list below its own prefix, and try the same where it must be refused. That is at
    other apps' prefixes and at one that only begins like its own. The login must not read other databases either.
  - Fails unless every step passed. Any answer but the expected refusal proves nothing and fails, too.
  - Never reports a change. The one object that it writes is hidden again, and the column remembers what was proved, so
    that the next roll-out need not prove it again.
  - A key with a wider reach than its thread, which somebody put into C(key.json) by hand, still makes good backups,
    since no backup waits for a judgement of its key. This module condemns it, and the next call of
    M(fanout.backup.b2_application_key) replaces it. The master key of an account is refused by Backblaze itself.
options:
  neighbours:
    description:
      - Prefixes of other apps, such as V(nextcloud/), that must be out of reach.
    type: list
    elements: str
    default: []
  tamper:
    description:
      - Prove as well that the key cannot delete history.
    type: bool
    default: false
  login_only:
    description:
      - Prove only what the login reaches, from the first destination. O(destinations), O(neighbours) and O(tamper) have
        no meaning then.
    type: bool
    default: false
  rolled_out_only:
    description:
      - Leave out threads that are not rolled out, instead of failing for them. The roll-out has told why they are not.
    type: bool
    default: false
extends_documentation_fragment:
  - fanout.backup.attributes
  - fanout.backup.threads
  - fanout.backup.threads.acting
  - fanout.backup.threads.action_group
  - fanout.backup.column
seealso:
  - module: fanout.backup.b2_application_key
"""

EXAMPLES = r"""
- name: Prove that forgejo's keys reach forgejo's backups only
  fanout.backup.column_probe:
    app:
      app_name: forgejo
      app_database: forgejo
      app_destinations:
        b2: {kind: b2, bucket: example-backups}
        nas: {kind: directory, path: /mnt/nas}
      app_recovery_recipients: ["{{ recovery_recipient }}"]
    neighbours: [nextcloud/, immich/]
    tamper: true
"""

RETURN = r"""
lines:
  description: All lines that the probes wrote for people, one for each step.
  returned: always
  type: list
  elements: str
threads:
  description:
    - One entry for each selected thread, even if the module fails, of the shape that
      M(fanout.backup.column_backup) returns.
    - Its C(ok) says whether every step passed.
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
from ansible_collections.fanout.backup.plugins.module_utils.platforms.base import NotRolledOut
from ansible_collections.fanout.backup.plugins.module_utils.platforms.registry import acts_of
from ansible_collections.fanout.backup.plugins.module_utils.wiring.argument_spec import ArgumentSpec
from ansible_collections.fanout.backup.plugins.module_utils.wiring.failures import Outcome, run
from ansible_collections.fanout.backup.plugins.module_utils.wiring.threads import on_threads, outcome_of, thread_options

PROBE_OPTIONS = ArgumentSpec(
    {
        "neighbours": {"type": "list", "elements": "str", "default": []},
        "tamper": {"type": "bool", "default": False},
        "login_only": {"type": "bool", "default": False},
        "rolled_out_only": {"type": "bool", "default": False},
    }
)


def probe(module: AnsibleModule) -> Outcome:
    def act(column: Column, threads: Sequence[ThreadName]) -> Outcome:
        options, acts = module.params, acts_of(column)
        if options["login_only"]:
            results = acts.probe_logins(column)
        else:
            results = acts.probe(column, threads, options["neighbours"], options["tamper"])
        if options["rolled_out_only"]:
            results = [result for result in results if not isinstance(result.failure, NotRolledOut)]
        whole = {result.thread for result in results} == set(map(str, column.thread_names))
        whole = whole and not options["login_only"]
        if (whole or options["login_only"]) and not any(result.failure for result in results):
            acts.note_proof(column, whole)
        return outcome_of(results, Outcome(values={"lines": [line for result in results for line in result.lines]}))

    return on_threads(module, act)


def main() -> None:
    spec = PROBE_OPTIONS.merge(thread_options())
    run(AnsibleModule(supports_check_mode=True, **spec.to_kwargs()), probe)


if __name__ == "__main__":
    main()
