# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
name: buckets
short_description: Find the buckets of Backblaze B2 that apps of the inventory need
version_added: 1.0.0
author:
  - fanout.backup contributors (@fanout-backup)
description:
  - Reads C(app_destinations) of all given hosts, and returns each bucket once for each C(b2_account_key_id), so that an
    app with a wrong account key takes the bucket from no other.
  - C(b2_purge_days) and C(b2_object_lock_days) are read of all apps that use a bucket, whichever are rolled out. Where
    they differ, the bucket is refused.
  - A host with C(app_state) V(absent) needs none. Nor does one whose variables cannot be read, because its own roll-out
    says what is wrong with them.
positional: hosts, apps
options:
  apps:
    description: Names of all hosts that are apps, also of those that are not rolled out now.
    type: list
    elements: str
    required: true
extends_documentation_fragment:
  - fanout.backup.hosts
"""

EXAMPLES = r"""
- name: Ensure each bucket
  fanout.backup.b2_bucket:
    name: "{{ item.name }}"
    api_url: "{{ item.api_url }}"
  loop: "{{ hostvars | fanout.backup.buckets(ansible_play_hosts, groups['apps']) }}"
"""

RETURN = r"""
_value:
  description: Each bucket's C(name) and C(api_url), C(hosts), the names of the given hosts that need it, its
    C(settings), and C(refusal), a line that says why it cannot be had, or "".
  type: list
  elements: dict
  sample:
    - name: example-backups
      api_url: https://api.backblazeb2.com
      hosts: [forgejo, nextcloud]
      settings: {purge_days: 14}
      refusal: ""
"""

from collections.abc import Callable, Iterable, Mapping

from ansible_collections.fanout.backup.plugins.plugin_utils.hosts import claims


def buckets(
    hostvars: Mapping[str, Mapping[str, object]], hosts: Iterable[str], apps: Iterable[str]
) -> list[dict[str, object]]:
    """Return the buckets that the hosts need, as all apps want them."""
    # Only here: to find one filter, Ansible imports all of a collection, anew in each worker process.
    from ansible_collections.fanout.backup.plugins.module_utils.inventory.locations import BUCKET, CLAIM
    from ansible_collections.fanout.backup.plugins.module_utils.inventory.locations import buckets as found_buckets

    claimed = claims(hostvars, apps, (*CLAIM, *BUCKET))
    return [
        {
            "name": bucket.name,
            "api_url": bucket.api_url,
            "hosts": list(bucket.hosts),
            "settings": bucket.settings,
            "refusal": bucket.refusal,
        }
        for bucket in found_buckets(claimed, set(hosts))
    ]


class FilterModule:
    """The table that Ansible reads."""

    def filters(self) -> dict[str, Callable[..., object]]:
        """Return the filters by name."""
        return {"buckets": buckets}
