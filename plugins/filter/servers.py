# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
name: servers
short_description: Find the servers of the inventory whose volumes are Longhorn's, and the apps on each
version_added: 1.0.0
author:
  - fanout.backup contributors (@fanout-backup)
description:
  - Volumes belong to servers, and what touches a volume touches every app on its server. So the whole inventory is
    asked, not only what a limit leaves.
  - A host without C(longhorn_server), or where it is null, is on none of them.
positional: hosts
extends_documentation_fragment:
  - fanout.backup.hosts
"""

EXAMPLES = r"""
- name: Show which apps are on which server
  ansible.builtin.debug:
    msg: "{{ hostvars | fanout.backup.servers(groups['apps']) }}"
"""

RETURN = r"""
_value:
  description:
    - C(found) has, by name, each server's C(variables), C(apps), C(hosts) and recurring C(jobs). C(server_of) has the
      server's name for each of those hosts, C(refused) one line for each host whose variables cannot be used.
  type: dict
  sample: {found: {}, server_of: {}, refused: {}}
"""

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING

from ansible.errors import AnsibleError

if TYPE_CHECKING:
    from ansible_collections.fanout.backup.plugins.module_utils.inventory.longhorn import Server

# Where a server's apps are columns of the cluster that the volumes are in, it need not be named twice.
_INSTEAD = {"longhorn_kubeconfig": "app_kubeconfig", "longhorn_kube_context": "app_kube_context"}


def servers(hostvars: Mapping[str, Mapping[str, object]], hosts: Iterable[str]) -> dict[str, dict[str, object]]:
    """Return the servers of all hosts."""
    # Only here: to find one filter, Ansible imports all of a collection, anew in each worker process.
    from ansible_collections.fanout.backup.plugins.module_utils.inventory.longhorn import servers_in

    members: dict[str, str] = {}
    given: dict[str, dict[str, object]] = {}
    broken: dict[str, str] = {}
    for host in hosts:
        try:
            variables = _variables(hostvars[host])
            app = str(hostvars[host].get("app_name", host))
        except AnsibleError:  # a template that does not resolve
            broken[host] = f"{host}: its longhorn_* variables cannot be read. Remedy: correct them"
            continue
        if variables:
            given[app], members[app] = variables, host
    found = servers_in(given)
    refused = {
        members[app]: found.refused[str(variables["longhorn_server"])]
        for app, variables in given.items()
        if str(variables["longhorn_server"]) in found.refused
    }
    return {
        "found": {name: _shown(server, given, members) for name, server in found.found.items()},
        "server_of": {members[app]: name for name, server in found.found.items() for app in server.apps},
        "refused": {**refused, **broken},
    }


def _variables(host: Mapping[str, object]) -> dict[str, object]:
    given = {name: host[name] for name in host if name.startswith("longhorn_")}
    if given.get("longhorn_server") is None:
        return {}
    instead = {ours: host[theirs] for ours, theirs in _INSTEAD.items() if theirs in host}
    return {**instead, **given}


def _shown(server: Server, given: Mapping[str, object], members: Mapping[str, str]) -> dict[str, object]:
    state = server.variables.longhorn_state
    jobs = [
        {
            "name": job.name,
            "state": state if job.keep else "absent",
            "cron": job.cron,
            "retain": job.keep,
        }
        for job in server.all_jobs
    ]
    return {
        "variables": given[server.apps[0]],
        "apps": list(server.apps),
        "hosts": [members[app] for app in server.apps],
        "jobs": jobs,
    }


class FilterModule:
    """The table that Ansible reads."""

    def filters(self) -> dict[str, Callable[..., object]]:
        """Return the filters by name."""
        return {"servers": servers}
