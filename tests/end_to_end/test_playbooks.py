# SPDX-License-Identifier: GPL-3.0-or-later
"""The playbooks, run as a user runs them, with the inventory of the demo against a sandbox.

Each run of ansible-playbook costs seconds, so the story is told once, by fixtures that build on each other, and
tests look at what each chapter printed and left behind.
"""

from __future__ import annotations

import json
import re
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from fanout.b2.application_keys import list_keys
from fanout.b2.client import B2Client
from fanout.contract.key_file import read
from tests.sandbox.b2.client import Control
from tests.sandbox.state import Sandbox
from tests.support.playbooks import CHECKOUT, Play, Run, folder_of, last_word, player, recap, said

APPS = ["forgejo", "gitlab", "immich", "nextcloud", "paperless"]
THREADS = {f"{app}/database/{destination}" for app in APPS for destination in ("nas", "b2")}


def threads_in(lines: list[str], word: str) -> set[str]:
    """The threads that have a line that begins with `word`."""
    return {found[1] for line in lines if (found := re.match(rf"{word} ([a-z]+/[a-z]+/[a-z0-9]+)", line))}


def artifacts(sandbox: Sandbox) -> set[str]:
    """Every backup on the NAS and at B2."""
    on_nas = {str(path.relative_to(sandbox.nas.path)) for path in Path(sandbox.nas.path).glob("*/*/*/manifest.json")}
    versions = Control(sandbox.b2.control_url).versions(sandbox.b2.bucket)
    return on_nas | {version["key"] for version in versions if version["key"].endswith("/manifest.json")}


def key_names(sandbox: Sandbox) -> set[str]:
    """The names of the account's keys, without the serial at their end."""
    account = B2Client(sandbox.b2.application_key_id, sandbox.b2.application_key, sandbox.b2.api_url)
    return {key.name.rpartition("-")[0] for key in list_keys(account).values()}


def secrets_of(sandbox: Sandbox) -> set[str]:
    """Every secret that the sandbox and the columns know, also those that the roll-out made."""
    columns = folder_of(sandbox) / "columns"
    keys = [read(path) for path in columns.glob("*/*/*/key.json")]
    identities = [line for path in columns.glob("*/drill-identity.txt") for line in path.read_text().splitlines()]
    return {
        *(app.password for app in sandbox.apps.values()),
        sandbox.b2.application_key,
        *(key.current.secret for key in keys if key and key.current),
        *(line for line in identities if line.startswith("AGE-SECRET-KEY")),
    }


# The story


@pytest.fixture(scope="module")
def play(sandbox: Sandbox) -> Play:
    return player(sandbox)


@pytest.fixture(scope="module")
def foreseen(play: Play) -> Run:
    return play("site.yml", "--check", "--diff", "-vvv")


@pytest.fixture(scope="module")
def rolled_out(play: Play, foreseen: Run) -> Run:
    return play("site.yml", "--diff", "-vvv")


@pytest.fixture(scope="module")
def rolled_out_again(play: Play, rolled_out: Run) -> Run:
    return play("site.yml")


@pytest.fixture(scope="module")
def opened(play: Play, rolled_out_again: Run) -> Run:
    """The gate after it backed up and drilled."""
    return play("gate.yml", "-e", "gate_fresh=now")


# Roll-out


def test_check_mode_before_the_first_roll_out_shows_what_it_would_make_and_makes_nothing(
    foreseen: Run, sandbox: Sandbox
) -> None:
    assert foreseen.returncode == 0, foreseen.stdout
    for app in APPS:
        assert f"fanout-{app}-database-b2" in foreseen.stdout
        assert recap(foreseen)[app]["changed"] >= 2, "a key and a column"
    assert last_word(foreseen, "ROLL-OUT") == "ROLL-OUT NOT JUDGED: check mode does nothing"


def test_the_roll_out_gives_every_app_its_keys_and_its_column(rolled_out: Run, sandbox: Sandbox) -> None:
    assert rolled_out.returncode == 0, rolled_out.stdout
    assert last_word(rolled_out, "ROLL-OUT") == "ROLL-OUT OK (apps: 5, threads: 10)"
    probed = set(re.findall(r"PROBE PASS (\S+):", rolled_out.stdout))
    assert len(probed) == 10, "every new key is tried where it must be refused"
    columns = folder_of(sandbox) / "columns"
    assert {str(path.parent.relative_to(columns)) for path in columns.glob("*/*/*/thread.json")} == THREADS
    assert {path.parts[-4] for path in columns.glob("*/database/b2/key.json")} == set(APPS)
    assert {f"fanout-{app}-database-b2" for app in APPS} <= key_names(sandbox)


def test_no_secret_shows_at_the_highest_verbosity_that_is_read_nor_in_a_diff(
    foreseen: Run, rolled_out: Run, sandbox: Sandbox
) -> None:
    secrets = secrets_of(sandbox)

    assert len(secrets) == 5 + 1 + 5 + 5
    for run in (foreseen, rolled_out):
        assert [secret for secret in secrets if secret in run.stdout + run.stderr] == []
    assert "app_database_binaries" in rolled_out.stdout, "what is harmless is not masked"


def test_the_bucket_is_prepared_once_for_all_apps(rolled_out: Run) -> None:
    assert len(re.findall(r"^(?:ok|changed): .*\(item=backups\)", rolled_out.stdout, re.MULTILINE)) == 1


def test_a_second_roll_out_changes_nothing(rolled_out_again: Run) -> None:
    assert rolled_out_again.returncode == 0, rolled_out_again.stdout
    assert {host: row["changed"] for host, row in recap(rolled_out_again).items()} == dict.fromkeys(APPS, 0)


# Backup, drill, probe, status, gate


def test_the_gate_opens_when_every_app_was_backed_up_drilled_and_probed(opened: Run, sandbox: Sandbox) -> None:
    lines = said(opened)

    assert opened.returncode == 0, opened.stdout
    assert last_word(opened, "GATE") == "GATE OPEN (apps: 5, threads: 10)"
    assert threads_in(lines, "BACKUP OK") == THREADS
    assert threads_in(lines, "DRILL PASS") == {f"{app}/database/b2" for app in APPS}
    assert threads_in(lines, "PROBE PASS") == THREADS
    assert threads_in(lines, "STATUS") == THREADS
    assert len(artifacts(sandbox)) >= len(THREADS)


def test_every_question_of_every_app_is_answered_by_the_restored_database_as_by_the_live_one(opened: Run) -> None:
    answers = [line for line in said(opened) if ": restored " in line]
    questions = sum(
        len(yaml.safe_load(path.read_text())["app_drill_queries"])
        for path in (CHECKOUT / "inventories/demo/host_vars").glob("*.yml")
    )

    assert len(answers) == questions
    for answer in answers:
        restored, dumped, live = re.search(r"restored (\S+), in the dump (\S+), live (\S+)", answer).groups()
        assert restored == dumped == live != "0", answer


def test_a_limit_touches_the_named_app_alone_and_judges_it(opened: Run, play: Play, sandbox: Sandbox) -> None:
    before = artifacts(sandbox)

    run = play("backup.yml", "--limit", "forgejo", "-e", "app_only_destinations=nas")

    assert run.returncode == 0, run.stdout
    assert {name.split("/")[0] for name in artifacts(sandbox) - before} == {"forgejo"}
    assert last_word(run, "BACKUP") == "BACKUP OK (apps: 1, threads: 1)"


def test_in_check_mode_nothing_is_backed_up_and_the_judge_calls_it_neither_good_nor_bad(
    opened: Run, play: Play, sandbox: Sandbox
) -> None:
    before = artifacts(sandbox)

    run = play("backup.yml", "--check")

    assert run.returncode == 0, run.stdout
    assert artifacts(sandbox) == before
    assert "forgejo/database/nas, forgejo/database/b2: nothing is done in check mode" in said(run)
    assert last_word(run, "BACKUP") == "BACKUP NOT JUDGED: check mode does nothing"


def test_history_that_nobody_touched_stays_and_the_playbook_says_so(opened: Run, play: Play, sandbox: Sandbox) -> None:
    before = artifacts(sandbox)
    run = play("recover_history.yml", "-vvv")
    assert run.returncode == 0, run.stdout
    assert threads_in(said(run), "HISTORY OK") == THREADS
    assert last_word(run, "HISTORY") == "HISTORY OK (apps: 5, threads: 10)"
    assert {host: row["changed"] for host, row in recap(run).items()} == dict.fromkeys(APPS, 0)
    assert artifacts(sandbox) == before
    assert [secret for secret in secrets_of(sandbox) if secret in run.stdout + run.stderr] == []


def test_the_gate_closes_for_the_app_whose_copies_are_stale_and_says_why(opened: Run, play: Play) -> None:
    strict = {"apps": {"hosts": {"paperless": {"app_fresh_within": "1s"}}}}
    assert play("site.yml", "--limit", "paperless", also=strict).returncode == 0

    run = play("gate.yml", "--limit", "paperless,forgejo", also=strict)

    assert run.returncode != 0
    assert last_word(run, "GATE") == "GATE CLOSED for 1 of 2 apps: paperless"
    reasons = said(run)[said(run).index("GATE CLOSED for 1 of 2 apps: paperless") + 1 :]
    assert re.match(r"paperless/database/nas: the newest backup is .* old, the limit is 1 s", reasons[0])
    assert reasons[1].startswith("paperless/database/b2: the newest backup is")
    assert not [line for line in reasons if line.startswith("forgejo/")]


def test_the_gate_closes_for_the_app_whose_column_somebody_changed_and_names_the_field(
    opened: Run, play: Play, sandbox: Sandbox
) -> None:
    file = folder_of(sandbox) / "columns/gitlab/database/nas/thread.json"
    text = file.read_text()
    thread = json.loads(text)
    thread["keep"]["hourly"] += 1
    file.write_text(json.dumps(thread))
    try:
        gate, status = (play(playbook, "--limit", "gitlab,forgejo") for playbook in ("gate.yml", "status.yml"))
    finally:
        file.write_text(text)

    line = f"gitlab/database/nas: {file} differs: keep.hourly. Remedy: run fanout.backup.site"
    assert last_word(gate, "GATE") == "GATE CLOSED for 1 of 2 apps: gitlab"
    assert line in said(gate)
    assert last_word(status, "STATUS") == "STATUS: 1 of 4 threads have a problem (apps: 2)"
    assert line in said(status)


def test_a_look_says_in_its_last_line_how_many_threads_have_a_problem_though_it_fails_nothing(
    opened: Run, play: Play
) -> None:
    good = play("status.yml", "--limit", "forgejo,gitlab")
    bad = play("status.yml", "--limit", "forgejo,immich", "-e", "app_host_directory=/nonexistent")

    assert good.returncode == bad.returncode == 0, bad.stdout
    assert last_word(good, "STATUS") == "STATUS OK (apps: 2, threads: 4)"
    assert last_word(bad, "STATUS") == "STATUS: 4 of 4 threads have a problem (apps: 2)"
    nas = [
        line for line in said(good) if line.startswith(("STATUS forgejo/database/nas", "STATUS gitlab/database/nas"))
    ]
    assert [line.partition("; ")[2] for line in nas] == ["not drilled here"] * 2


# What fails


def test_one_failing_app_is_named_with_its_remedy_and_all_others_are_rolled_out(opened: Run, play: Play) -> None:
    misspelt = {"apps": {"hosts": {"gitlab": {"app_databse_port": 5432}}}}

    run = play("site.yml", also=misspelt)

    assert run.returncode == 2
    assert last_word(run, "ROLL-OUT") == "ROLL-OUT FAILED for 1 of 5 apps: gitlab"
    (line,) = {line for line in said(run) if line.startswith("gitlab: ")}
    assert "app_databse_port is unknown (did you mean 'app_database_port'?). Remedy:" in line
    assert run.stdout.count("app_databse_port is unknown") == 2, "once where it failed, once in the table"
    assert {host for host, row in recap(run).items() if row["rescued"]} == {"gitlab"}
    assert "forgejo: column unchanged" in said(run)


def test_when_all_apps_fail_the_judge_still_names_every_one_on_a_line_of_its_own(play: Play) -> None:
    run = play("drill.yml", "-e", "app_drill_objective=soon")

    assert run.returncode == 2
    assert last_word(run, "DRILL") == f"DRILL FAILED for 5 of 5 apps: {', '.join(APPS)}"
    for app in APPS:
        assert [line for line in said(run) if re.match(rf"{app}: .*app_drill_objective.* Remedy: ", line)], app


def test_a_variable_that_ansible_cannot_resolve_fails_its_app_alone(opened: Run, play: Play) -> None:
    run = play("status.yml", also={"apps": {"hosts": {"immich": {"app_database_password": "{{ vault_gone }}"}}}})

    assert run.returncode == 2
    assert last_word(run, "STATUS") == "STATUS FAILED for 1 of 5 apps: immich"
    assert [line for line in said(run) if line.startswith("immich: ") and "'vault_gone' is undefined" in line]
    assert threads_in(said(run), "STATUS") == {thread for thread in THREADS if not thread.startswith("immich/")}


def test_an_app_without_any_result_has_failed(play: Play, sandbox: Sandbox) -> None:
    playbook = folder_of(sandbox) / "lost.yml"
    judge = {"judge_title": "BACKUP", "judge_act": "app/backup"}
    outcome = {"acts": ["app/backup"], "threads": [], "lines": [], "failures": [], "unclaimed": []}
    tasks = [{"ansible.builtin.set_fact": {"outcome": outcome}}]
    playbook.write_text(
        yaml.safe_dump(
            [
                {"hosts": "apps:!immich", "gather_facts": False, "tasks": tasks},
                {"import_playbook": str(CHECKOUT / "playbooks/judge.yml"), "vars": judge},
            ]
        )
    )

    run = play(playbook)

    assert run.returncode == 2
    assert last_word(run, "BACKUP") == "BACKUP FAILED for 1 of 5 apps: immich"
    assert [line for line in said(run) if line.startswith("immich: no result.")]


@pytest.mark.parametrize(
    ("inventory", "options"),
    [
        pytest.param({"apps": {"hosts": {}}}, (), id="empty group"),
        pytest.param({"apps": {"hosts": {}}}, ("--limit", "forgejo"), id="empty group and a limit"),
        pytest.param({"app": {"hosts": {"forgejo": {}}}}, (), id="misspelt group"),
        pytest.param({"app": {"hosts": {"forgejo": {}}}}, ("--limit", "forgejo"), id="misspelt group and a limit"),
        pytest.param(
            {"apps": {"hosts": {"forgejo": {}}}, "other": {"hosts": {"nas": {}}}},
            ("--limit", "nas"),
            id="no app in the limit",
        ),
        pytest.param({"apps": {"hosts": {"forgejo": {}}}}, ("--limit", "forgeo"), id="misspelt limit"),
    ],
)
def test_a_playbook_that_finds_no_app_fails(inventory: dict[str, Any], options: tuple[str, ...], play: Play) -> None:
    run = play("status.yml", *options, only=inventory)

    assert run.returncode != 0
    assert "STATUS" not in run.stdout


def test_a_gate_that_looked_at_nothing_is_closed(play: Play) -> None:
    run = play("gate.yml", "--limit", "forgejo", "-e", "app_state=absent")

    assert run.returncode == 2
    assert last_word(run, "GATE") == "GATE CLOSED: there is no thread to look at"


def test_a_bucket_that_is_refused_fails_the_apps_that_need_it_and_no_other(play: Play, rolled_out_again: Run) -> None:
    api_url = "{{ sandbox.b2.api_url }}"
    refused = {
        # Nothing may be purged while Object Lock still holds it.
        "b2_purge_days": 7,
        "b2_object_lock_days": 30,
        "app_destinations": {"b2": {"kind": "b2", "bucket": "locked-for-longer", "api_url": api_url}},
        "app_host_directory": "{{ sandbox_directory }}/refused",
    }

    run = play("site.yml", "--limit", "forgejo,nextcloud", also={"apps": {"hosts": {"nextcloud": refused}}})

    assert run.returncode == 2
    assert last_word(run, "ROLL-OUT") == "ROLL-OUT FAILED for 1 of 2 apps: nextcloud"
    assert [line for line in said(run) if line.startswith("nextcloud: preparing the bucket locked-for-longer: ")]


def test_an_app_gets_its_column_for_other_destinations_also_when_backblaze_refuses_its_key(
    play: Play, rolled_out_again: Run, sandbox: Sandbox
) -> None:
    elsewhere = folder_of(sandbox) / "elsewhere"

    (elsewhere / "immich").mkdir(parents=True, mode=0o700)
    # Who has it owns what lies at the destinations.
    shutil.copy2(folder_of(sandbox) / "columns/immich/drill-identity.txt", elsewhere / "immich")
    new = ("-e", f"app_host_directory={elsewhere}")
    run = play("site.yml", "--limit", "immich", "-e", "b2_account_key=not-the-key", *new)

    assert run.returncode == 2
    lines = {line for line in said(run) if line.startswith("immich") and "Remedy: " in line}
    assert len(lines) == 1, lines
    (line,) = lines
    assert re.match("immich: preparing the bucket backups: .* refuses the key .* Remedy: ", line)
    assert (elsewhere / "immich/database/nas/thread.json").exists()


# Leaving


def test_a_column_that_left_the_inventory_shows_until_its_app_is_absent(
    opened: Run, play: Play, sandbox: Sandbox
) -> None:
    """The account's key comes from the environment here, as it does in a home."""
    server = sandbox.postgresql["shared"]
    notes = {
        "ansible_connection": "local",
        "ansible_python_interpreter": sys.executable,
        "app_database": "forgejo",
        "app_database_port": server.port,
        "app_database_password": sandbox.apps["forgejo"].password,
        "app_destinations": {"b2": {"kind": "b2", "bucket": sandbox.b2.bucket, "api_url": sandbox.b2.api_url}},
        "app_recovery_recipients": [sandbox.recovery.recipient],
        "app_host_directory": str(folder_of(sandbox) / "columns"),
    }
    account = {
        "B2_APPLICATION_KEY_ID": sandbox.b2.application_key_id,
        "B2_APPLICATION_KEY": sandbox.b2.application_key,
    }
    inventory = {"apps": {"hosts": {"notes": notes}}}
    column = folder_of(sandbox) / "columns/notes"

    assert play("site.yml", only=inventory, **account).returncode == 0
    assert (column / "database/b2/key.json").exists()
    assert "fanout-notes-database-b2" in key_names(sandbox)
    status = play("status.yml", "--limit", "forgejo")
    assert "notes: a column that no host of the inventory claims" in said(status)

    gone = play("site.yml", "-e", "app_state=absent", only=inventory, **account)

    assert gone.returncode == 0, gone.stdout
    left = sorted(str(path.relative_to(column)) for path in column.rglob("*") if path.is_file())
    assert left == ["database/b2/onboarded.json", "drill-identity.txt"]
    assert "fanout-notes-database-b2" not in key_names(sandbox)
    assert not [line for line in said(play("status.yml", "--limit", "forgejo")) if line.startswith("notes")]
