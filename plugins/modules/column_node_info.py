# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: column_node_info
short_description: Show what of one app's database is on a node of its cluster
version_added: 1.0.0
author:
  - fanout.backup contributors (@fanout-backup)
description:
  - Finds the pods that C(app_database_network.pods) selects, and what their volumes are on. Of volumes of Longhorn it
    looks for a healthy replica on another node.
  - If it cannot tell, as on platform V(host) or with C(app_database_network.addresses), the gate asks for the app
    anyway.
options:
  node:
    description:
      - Name of the node.
    type: str
    required: true
  longhorn_namespace:
    description:
      - Where Longhorn is in the cluster.
    type: str
    default: longhorn-system
extends_documentation_fragment:
  - fanout.backup.attributes
  - fanout.backup.attributes.info
  - fanout.backup.threads.action_group
  - fanout.backup.column
seealso:
  - module: fanout.backup.column_info
"""

EXAMPLES = r"""
- name: Look what of forgejo is on node1
  fanout.backup.column_node_info:
    app:
      app_name: forgejo
      app_platform: kubernetes
      app_image: registry.home.arpa/fanout-runner:1.0.0
      app_drill_image: docker.io/library/postgres:17
      app_database: forgejo
      app_database_host: postgresql.databases.svc
      app_database_network: {pods: {namespace: databases, labels: {app: postgresql}}}
      app_destinations:
        b2: {kind: b2, bucket: example-backups}
      app_recovery_recipients: ["{{ recovery_recipient }}"]
    node: node1
  register: result
"""

RETURN = r"""
app:
  description: Name of the app.
  type: str
  returned: success
asked:
  description: Whether the app's backups must be good before the node is taken down.
  type: bool
  returned: success
places:
  description: What is on the node, one line for each pod.
  type: list
  elements: str
  returned: success
doubts:
  description: Why the app is asked for although nobody knows whether it is on the node.
  type: list
  elements: str
  returned: success
nodes:
  description: Names of all nodes of the app's cluster, empty on platform V(host).
  type: list
  elements: str
  returned: success
failure:
  description: What failed, for programs. Its C(code) is one of the names of the exit codes, such as V(no_permission).
  returned: failure
  type: dict
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.fanout.backup.plugins.module_utils.longhorn.placement import Placement, placed
from ansible_collections.fanout.backup.plugins.module_utils.wiring.argument_spec import ArgumentSpec
from ansible_collections.fanout.backup.plugins.module_utils.wiring.column import column_of, column_options
from ansible_collections.fanout.backup.plugins.module_utils.wiring.failures import Outcome, run

NODE_OPTIONS = ArgumentSpec(
    {
        "node": {"type": "str", "required": True},
        "longhorn_namespace": {"type": "str", "default": "longhorn-system"},
    }
)


def describe(module: AnsibleModule) -> Outcome:
    column = column_of(module)
    node, longhorn_namespace = module.params["node"], module.params["longhorn_namespace"]
    found = placed(column, node, longhorn_namespace) if column.present else Placement(False)
    return Outcome(
        values={
            "app": column.app,
            "asked": found.asked,
            "places": list(found.places),
            "doubts": list(found.doubts),
            "nodes": list(found.nodes),
        }
    )


def main() -> None:
    spec = NODE_OPTIONS.merge(column_options())
    run(AnsibleModule(supports_check_mode=True, **spec.to_kwargs()), describe)


if __name__ == "__main__":
    main()
