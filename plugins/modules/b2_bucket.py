# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: b2_bucket
short_description: Ensure that a Backblaze B2 bucket is fit for backups
version_added: 1.0.0
author:
  - fanout.backup contributors (@fanout-backup)
description:
  - Creates a private bucket with a single lifecycle rule, or gives an existing one that rule. One bucket serves any
    number of apps.
  - The rule deletes files some days after they were hidden and cancels uploads that were not finished within 2 days. It
    never hides a file by its age, so a backup that stopped keeps its last copies.
  - A bucket that is public, or that has lifecycle rules of its own, is refused. It serves another purpose.
options:
  name:
    description:
      - Name of the bucket. Bucket names are global at Backblaze.
    type: str
    required: true
  state:
    description:
      - Buckets are never removed by this collection.
    type: str
    choices: [present]
    default: present
  purge_days:
    description:
      - How many days a retired (hidden) backup can still be brought back.
      - Choose more than it takes to notice that somebody with a stolen key hides backups.
    type: int
    default: 14
  shorten:
    description:
      - Allow O(purge_days) to be less than the bucket has now. What was hidden before is deleted accordingly sooner.
    type: bool
    default: false
  object_lock_days:
    description:
      - Switch Object Lock on and set the default retention (mode V(governance)) of new files to this many days. Nothing
        can delete them earlier. O(purge_days) must not be less.
      - B2 can never switch Object Lock off again. Every upload is paid for at least this long.
      - If it is not set, Object Lock is left as it is.
    type: int
  api_url:
    description:
      - URL of the native API. The modules for keys take it from each destination instead.
    type: str
    default: https://api.backblazeb2.com
extends_documentation_fragment:
  - fanout.backup.attributes
  - fanout.backup.attributes.b2
  - fanout.backup.b2
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
  idempotent:
    support: full
seealso:
  - module: fanout.backup.b2_application_key
"""

EXAMPLES = r"""
- name: Create a bucket for the backups of all apps
  fanout.backup.b2_bucket:
    name: example-backups
    account_key_id: "{{ lookup('ansible.builtin.env', 'B2_APPLICATION_KEY_ID') }}"
    account_key: "{{ lookup('ansible.builtin.env', 'B2_APPLICATION_KEY') }}"

- name: Create one where nothing can be deleted for a week (the account's key comes from the environment)
  fanout.backup.b2_bucket:
    name: example-locked-backups
    purge_days: 14
    object_lock_days: 7
"""

RETURN = r"""
bucket:
  description: The bucket as it is, or in check mode as it would be.
  returned: success
  type: dict
  contains:
    name:
      description: Name of the bucket.
      type: str
      returned: success
    type:
      description: V(allPrivate).
      type: str
      returned: success
    purge_days:
      description: Days from hiding a file to its deletion.
      type: int
      returned: success
    cancel_unfinished_days:
      description: Days from the start of an upload to its cancellation.
      type: int
      returned: success
    object_lock:
      description: Whether Object Lock is on. None if the account's key may not know.
      type: bool
      returned: success
    object_lock_mode:
      description: Mode of the default retention, if there is one.
      type: str
      returned: success
    object_lock_days:
      description: Days of the default retention. 0 if there is none.
      type: int
      returned: success
failure:
  description: What failed, for programs. Its C(code) is one of the names of the exit codes, such as V(no_permission).
  returned: failure
  type: dict
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.fanout.backup.plugins.module_utils.actions.keys import API_URL
from ansible_collections.fanout.backup.plugins.module_utils.b2.bucket_settings import BucketSpec, ensure_bucket
from ansible_collections.fanout.backup.plugins.module_utils.contract.errors import about
from ansible_collections.fanout.backup.plugins.module_utils.wiring.argument_spec import ArgumentSpec
from ansible_collections.fanout.backup.plugins.module_utils.wiring.b2 import b2_connect, b2_options
from ansible_collections.fanout.backup.plugins.module_utils.wiring.failures import Outcome, run

BUCKET_OPTIONS = ArgumentSpec(
    {
        "name": {"type": "str", "required": True},
        "state": {"type": "str", "choices": ["present"], "default": "present"},
        "purge_days": {"type": "int", "default": 14},
        "object_lock_days": {"type": "int"},
        "shorten": {"type": "bool", "default": False},
        "api_url": {"type": "str", "default": API_URL},
    }
)


def ensure(module: AnsibleModule) -> Outcome:
    options = module.params
    spec = BucketSpec(options["name"], options["purge_days"], options["object_lock_days"], shorten=options["shorten"])
    with about(doing=f"preparing the bucket {spec.name}"):
        client = b2_connect(module)(options["api_url"])
        change = ensure_bucket(client, spec, check_mode=module.check_mode)
    return Outcome(change.before, change.after, {"bucket": change.after})


def main() -> None:
    run(AnsibleModule(supports_check_mode=True, **BUCKET_OPTIONS.merge(b2_options()).to_kwargs()), ensure)


if __name__ == "__main__":
    main()
