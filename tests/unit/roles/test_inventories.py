# SPDX-License-Identifier: GPL-3.0-or-later
"""What the role makes of an inventory, and that the inventory of a home, which is documentation, is a good one."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from fanout.contract.errors import ConfigurationError
from fanout.inventory import placeholders
from fanout.inventory.column import parse
from fanout.inventory.longhorn import servers_in
from tests.support.modules import RECIPIENT

CHECKOUT = Path(__file__).resolve().parents[3]
PROGRAMS = Path(sys.executable).parent
HOME = CHECKOUT / "inventories/home"
ESTATE = ["forgejo", "gitlab", "immich", "nextcloud", "paperless"]


def run(program: str, *arguments: str | Path) -> str:
    done = subprocess.run(
        (PROGRAMS / program, *arguments),
        cwd=CHECKOUT,
        env={**os.environ, "ANSIBLE_NOCOLOR": "1"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def passed_by_the_role(inventory: Path) -> dict[str, tuple[dict[str, Any], dict[str, Any]]]:
    """Ask Ansible what the role's own expressions give the modules as `app` and `secrets`, by host."""
    role = CHECKOUT / "roles/app"
    message = "{{ [dict(app_name=inventory_hostname) | combine(__app_variables), __app_secrets] }}"
    shown = run("ansible", "apps", "--inventory", inventory, "--one-line", "--extra-vars", f"@{role}/vars/main.yml",
                "--module-name", "ansible.builtin.debug", "--args", json.dumps({"msg": message}))  # fmt: skip
    return {
        line.split(" ", maxsplit=1)[0]: tuple(json.loads(line.split("=>", maxsplit=1)[1])["msg"])
        for line in shown.splitlines()
    }


@pytest.fixture(scope="module")
def home() -> dict[str, tuple[dict[str, Any], dict[str, Any]]]:
    return passed_by_the_role(HOME)


def filled(given: dict[str, Any], secrets: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """What an owner makes of the placeholders."""
    text = json.dumps(given).replace(placeholders.RECIPIENT, RECIPIENT).replace("example-home-backups", "our-backups")
    return json.loads(text), {name: f"real-{name}" for name in secrets}


def test_every_placeholder_of_the_home_is_refused_until_it_is_replaced(home: dict[str, Any]) -> None:
    given, secrets = home["forgejo"]
    good, good_secrets = filled(given, secrets)
    for name, words in (
        ("app_recovery_recipients", "app_recovery_recipients holds the example of age's documentation"),
        ("app_destinations", "app_destinations.b2.bucket is the one of an example"),
    ):
        with pytest.raises(ConfigurationError, match=words):
            parse({**good, name: given[name]}, good_secrets)
    with pytest.raises(ConfigurationError, match="app_database_password is still a placeholder"):
        parse(good, secrets)


def test_every_bucket_of_an_example_is_known_for_a_placeholder() -> None:
    texts = [path for folder in ("docs", "inventories/home", "plugins") for path in (CHECKOUT / folder).rglob("*")]
    named = {
        name
        for path in texts
        if path.suffix in (".md", ".yml", ".py")
        for name in re.findall(r"kind: b2, bucket: ([a-z0-9-]+)", path.read_text(encoding="utf-8"))
    }
    assert named == placeholders.BUCKETS


def test_every_app_of_the_home_is_a_column_with_a_thread_to_the_nas_and_one_off_site(home: dict[str, Any]) -> None:
    columns = {name: parse(*filled(*given)) for name, given in home.items()}

    assert sorted(columns) == ESTATE
    for name, column in columns.items():
        assert column.app == name
        assert {where.kind for where in column.destinations.values()} == {"directory", "b2"}
        assert column.drill_destinations == ("b2",)
        assert column.secrets.app_database_password, "the placeholder is there"


def test_every_app_of_the_home_says_what_it_does_not_cover_and_asks_for_its_people(home: dict[str, Any]) -> None:
    for given, _secrets in home.values():
        column = parse(*filled(given, {}))
        assert column.variables.app_not_covered
        assert [query for query in column.variables.app_drill_queries if query.compare == "at_least"]


def test_immich_has_a_server_of_its_own_and_the_others_share_one(home: dict[str, Any]) -> None:
    servers = {name: parse(*filled(*given)).sources["database"].record.host for name, given in home.items()}

    assert {name for name in servers if servers[name] != servers["forgejo"]} == {"immich"}


def test_the_volume_of_the_shared_server_is_named_once_and_snapshotted_for_all_four_apps_on_it() -> None:
    listed = json.loads(run("ansible-inventory", "--inventory", HOME, "--list"))["_meta"]["hostvars"]

    servers = servers_in(
        {
            app: {name: value for name, value in host.items() if name.startswith("longhorn_")}
            for app, host in listed.items()
        }
    )

    assert servers.refused == {}
    (server,) = servers.found.values()
    assert server.apps == ("forgejo", "gitlab", "nextcloud", "paperless")
    assert [job.title for job in server.jobs] == ["hourly", "daily"]


def test_the_home_has_placeholders_where_secrets_belong(home: dict[str, Any]) -> None:
    for name, (_given, secrets) in home.items():
        assert secrets == {"app_database_password": f"placeholder-{name}"}
    listed = json.loads(run("ansible-inventory", "--inventory", HOME, "--list"))["_meta"]["hostvars"]
    assert not re.findall(r"AGE-SECRET-KEY|BEGIN .*PRIVATE KEY", json.dumps(listed))


def test_the_demo_is_the_home_s_estate_with_the_very_same_host_vars() -> None:
    home, demo = (yaml.safe_load((CHECKOUT / f"inventories/{name}/hosts.yml").read_text()) for name in ("home", "demo"))

    assert demo == home
    assert (CHECKOUT / "inventories/demo/host_vars").resolve() == HOME / "host_vars"


def test_the_role_hands_on_every_name_that_begins_with_app_so_that_the_contract_finds_the_misspelt_ones(
    tmp_path: Path,
) -> None:
    variables = {
        "app_database": "notes",
        "app_databse_host": "misspelt",
        "app_not_covered": ["{{ folder }}"],
        "app_database_password": "{{ vault_password }}",
        "vault_password": "long-enough-password",
        "folder": "data/",
        "app_drill_at": "20261125T093000Z",
    }
    (tmp_path / "hosts.yml").write_text(yaml.safe_dump({"apps": {"hosts": {"notes": variables}}}))

    given, secrets = passed_by_the_role(tmp_path / "hosts.yml")["notes"]

    assert given == {
        "app_name": "notes",
        "app_database": "notes",
        "app_databse_host": "misspelt",
        "app_not_covered": ["data/"],
    }
    assert secrets == {"app_database_password": "long-enough-password"}


def test_every_playbook_passes_ansible_s_syntax_check_without_an_inventory_and_with_the_home_s() -> None:
    playbooks = sorted((CHECKOUT / "playbooks").glob("*.yml"))

    assert playbooks
    run("ansible-playbook", "--syntax-check", *playbooks)
    run("ansible-playbook", "--syntax-check", "--inventory", HOME, *playbooks)
