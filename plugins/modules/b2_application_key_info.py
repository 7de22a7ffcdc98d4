# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: b2_application_key_info
short_description: Compare the stored Backblaze B2 keys of one app with the account
version_added: 1.0.0
author:
  - fanout.backup contributors (@fanout-backup)
description:
  - Shows, for every thread of one app to a destination of kind V(b2), which key is stored, what Backblaze knows
    about it, and whether the two agree. Authorizes with the stored key to see that its secret is right.
  - Lists keys of the same thread that are not stored.
extends_documentation_fragment:
  - fanout.backup.attributes
  - fanout.backup.attributes.info
  - fanout.backup.attributes.b2
  - fanout.backup.b2
  - fanout.backup.column
seealso:
  - module: fanout.backup.b2_application_key
"""

EXAMPLES = r"""
- name: Ask for the app's keys (the account's key comes from the environment)
  fanout.backup.b2_application_key_info:
    app:
      app_name: forgejo
      app_database: forgejo
      app_destinations:
        b2: {kind: b2, bucket: example-backups}
      app_recovery_recipients: ["{{ recovery_recipient }}"]
  register: result

- name: Stop if a key is not what it should be
  ansible.builtin.assert:
    that: result.application_keys | rejectattr('agrees') | list | length == 0
"""

RETURN = r"""
application_keys:
  description: One entry for each destination of kind V(b2), and for each that left the inventory and has a key.
  returned: success
  type: list
  elements: dict
  contains:
    thread:
      description: The thread's name, such as V(forgejo/database/b2).
      type: str
      returned: success
    path:
      description: The file that holds the key.
      type: str
      returned: success
    stored:
      description: What the file says, without the secret. None if there is nothing.
      type: dict
      returned: success
    known:
      description: What Backblaze says about the stored key. None if it does not exist there.
      type: dict
      returned: success
    agrees:
      description: Whether the stored key works and has exactly the scope that is wanted.
      type: bool
      returned: success
    difference:
      description: What is wrong. Empty if nothing is.
      type: str
      returned: success
    leftovers:
      description: Keys that an interrupted call made. The next one deletes them.
      type: list
      elements: dict
      returned: success
    strays:
      description: Other keys at Backblaze with the name, the bucket and the prefix of this thread.
      type: list
      elements: dict
      returned: success
failure:
  description: What failed, for programs. Its C(code) is one of the names of the exit codes, such as V(no_permission).
  returned: failure
  type: dict
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.fanout.backup.plugins.module_utils.actions.keys import describe_keys
from ansible_collections.fanout.backup.plugins.module_utils.wiring.b2 import b2_connect, b2_options
from ansible_collections.fanout.backup.plugins.module_utils.wiring.column import column_of, column_options
from ansible_collections.fanout.backup.plugins.module_utils.wiring.failures import Outcome, hide, run


def describe(module: AnsibleModule) -> Outcome:
    return Outcome(values={"application_keys": describe_keys(column_of(module), b2_connect(module), hide(module))})


def main() -> None:
    run(AnsibleModule(supports_check_mode=True, **column_options().merge(b2_options()).to_kwargs()), describe)


if __name__ == "__main__":
    main()
