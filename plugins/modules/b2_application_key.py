# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: b2_application_key
short_description: Manage the Backblaze B2 keys of one app
version_added: 1.0.0
author:
  - fanout.backup contributors (@fanout-backup)
description:
  - Ensures that every thread of one app to a destination of kind V(b2) has a key of its own. It reaches the thread's
    prefix in that bucket and nothing else, and cannot delete.
  - Minting a key and storing it is one act. The secret goes into the file C(key.json) (mode 0600) in the thread's
    folder below C(app_host_directory), or on platform V(kubernetes) into the Secret C(<thread>-key) of the column's
    namespace, and is never returned, logged or shown in a diff.
  - A Secret of that name that it does not own is not overwritten. One that was altered or lost is repaired.
  - A new key is minted when there is none, when it no longer exists at Backblaze, when its scope differs from what is
    wanted, when its secret is wrong, and on request (O(rotate)). The replaced key is deleted by the first call a
    minute after C(app_deadline) has passed, when no run can still be using it.
  - If a call dies, the next one cleans up what it left behind.
  - With C(app_state) V(absent), and for destinations that left the inventory, keys are deleted at once.
options:
  rotate:
    description:
      - Mint new keys even if the present ones are good. Not idempotent by nature.
    type: bool
    default: false
  revoke:
    description:
      - Mint new keys and delete the present and all replaced ones at once, because somebody else has one. A run that
        uses it fails. Not idempotent by nature.
    type: bool
    default: false
  take_over:
    description:
      - Delete keys of the app that are alive and not stored here. Without it they are refused where no living key is
        stored, because another machine or another inventory may be backing up with them.
    type: bool
    default: false
extends_documentation_fragment:
  - fanout.backup.attributes
  - fanout.backup.attributes.b2
  - fanout.backup.b2
  - fanout.backup.column
attributes:
  check_mode:
    support: full
    details:
      - Asks Backblaze and mints nothing. A bucket that does not exist yet is taken for one that
        M(fanout.backup.b2_bucket) would have created.
  diff_mode:
    support: full
  idempotent:
    support: partial
    details:
      - Not with O(rotate=true) or O(revoke=true).
notes:
  - The native API's URL belongs to each destination (C(api_url) in C(app_destinations)). All of an app's destinations
    of kind V(b2) must belong to the same account.
seealso:
  - module: fanout.backup.b2_bucket
  - module: fanout.backup.b2_application_key_info
"""

EXAMPLES = r"""
- name: Ensure that there are keys for the app's copies at Backblaze (the account's key comes from the environment)
  fanout.backup.b2_application_key:
    app:
      app_name: forgejo
      app_database: forgejo
      app_destinations:
        b2: {kind: b2, bucket: example-backups}
      app_recovery_recipients: ["{{ recovery_recipient }}"]
      app_host_directory: "{{ ansible_facts.env.HOME | default('/root') }}/.fanout"

- name: Replace the keys of the inventory host's app
  fanout.backup.b2_application_key:
    app: "{{ dict(names | zip(query('ansible.builtin.vars', *names))) }}"
    rotate: true
  vars:
    names: "{{ query('ansible.builtin.varnames', '^app_') }}"
"""

RETURN = r"""
application_keys:
  description: One entry for each destination of kind V(b2), and for each that left the inventory and had a key.
  returned: success
  type: list
  elements: dict
  contains:
    thread:
      description: The thread's name, such as V(forgejo/database/b2).
      type: str
      returned: success
    path:
      description: The file or Secret that holds the key.
      type: str
      returned: success
    key_id:
      description: Id of the key. None if it is absent, or if check mode did not mint it.
      type: str
      returned: success
    name:
      description: Name of the key at Backblaze.
      type: str
      returned: success
    bucket:
      description: The bucket that it reaches.
      type: str
      returned: success
    prefix:
      description: The prefix that it reaches.
      type: str
      returned: success
    capabilities:
      description: What it may do there.
      type: list
      elements: str
      returned: success
    retiring:
      description: Names of replaced keys that are deleted by a later call.
      type: list
      elements: str
      returned: success
    reason:
      description: Why a new key was minted, or in check mode would be. Empty if the stored one stays.
      type: str
      returned: success
failure:
  description: What failed, for programs. Its C(code) is one of the names of the exit codes, such as V(no_permission).
  returned: failure
  type: dict
"""

import time

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.fanout.backup.plugins.module_utils.actions.keys import ensure_keys
from ansible_collections.fanout.backup.plugins.module_utils.actions.minting import RollOut
from ansible_collections.fanout.backup.plugins.module_utils.wiring.argument_spec import ArgumentSpec
from ansible_collections.fanout.backup.plugins.module_utils.wiring.b2 import b2_connect, b2_options
from ansible_collections.fanout.backup.plugins.module_utils.wiring.column import column_of, column_options
from ansible_collections.fanout.backup.plugins.module_utils.wiring.failures import Outcome, hide, run

KEY_OPTIONS = ArgumentSpec(
    {name: {"type": "bool", "default": False} for name in ("rotate", "revoke", "take_over")},
)


def ensure(module: AnsibleModule) -> Outcome:
    column = column_of(module)
    roll_out = RollOut(
        now=int(time.time()),
        grace=column.limits.end,
        check_mode=module.check_mode,
        rotate=module.params["rotate"],
        revoke=module.params["revoke"],
        take_over=module.params["take_over"],
        hide=hide(module),
    )
    threads = ensure_keys(column, b2_connect(module), roll_out)
    for thread in threads:
        if names := (thread.change.after or {}).get("retiring"):
            module.warn(_alive(str(thread.thread), names))
    return Outcome(
        before={str(thread.thread): thread.change.before for thread in threads},
        after={str(thread.thread): thread.change.after for thread in threads},
        values={"application_keys": [thread.as_result() for thread in threads]},
    )


def _alive(thread: str, names: object) -> str:
    named = ", ".join(names) if isinstance(names, list) else str(names)
    return (
        f"{thread}: the replaced key {named} still works until a roll-out after the longest run. If it was stolen, use"
        " revoke (fanout.backup.site -e b2_revoke=true)"
    )


def main() -> None:
    spec = KEY_OPTIONS.merge(column_options()).merge(b2_options())
    run(AnsibleModule(supports_check_mode=True, **spec.to_kwargs()), ensure)


if __name__ == "__main__":
    main()
