# SPDX-License-Identifier: GPL-3.0-or-later
"""The shipped playbooks and inventories/home on an empty cluster, from the first roll-out to an app that leaves.

Each run costs seconds and starts pods, so the story is told once, by fixtures that build on each other, and tests look
at what each chapter printed and left behind.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
import yaml

from tests.sandbox.cluster.access import Access
from tests.support.account import Account
from tests.support.playbooks import CHECKOUT, Run, last_word, recap, said

from .estate import APPS, Estate, diffs, estate

# All of the story may stand behind one test.
pytestmark = pytest.mark.timeout(1800)
UNCHANGED = dict.fromkeys(APPS, 0)


def changes(run: Run) -> dict[str, int]:
    return {host: counts["changed"] for host, counts in recap(run).items()}


def threads_in(run: Run, word: str) -> set[str]:
    """The threads that have a line that begins with `word`."""
    return {found[1] for line in said(run) if (found := re.match(rf"{word} ([a-z0-9-]+/[a-z]+/[a-z0-9]+)", line))}


@dataclass(frozen=True)
class Chapter:
    """What a run said, and the secrets and the objects and copies of its apps that there were afterwards."""

    run: Run
    secrets: set[str]
    objects: dict[str, dict[str, list[str]]]
    copies: dict[str, set[str]]


def chapter(home: Estate, *command: str) -> Chapter:
    run = home.play(*command)
    assert run.returncode == 0, run.stdout[-5000:] + run.stderr[-2000:]
    return Chapter(run, known(home), {app: home.objects(app) for app in APPS}, {app: home.copies(app) for app in APPS})


def known(home: Estate) -> set[str]:
    """Every secret that the estate and its columns know by now."""
    found = {*home.passwords.values(), home.account.state["application_key"]}
    found |= {server.superuser_password for server in home.servers.values()}
    for app, owner in home.owners.items():
        names = home.objects(app).get("Secret", [])
        if "drill-identity" in names:
            text = base64.b64decode(owner.secret("drill-identity")["drill-identity.txt"]).decode()
            found.add(text.split()[-1])
        if f"{owner.app}-database-b2-key" in names:
            file = json.loads(base64.b64decode(owner.secret(f"{owner.app}-database-b2-key")["key.json"]))
            found.add(file["current"]["secret"])
    return found


# The story


@pytest.fixture(scope="module")
def home(access: Access, b2_for_pods: Account, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Estate]:
    with estate(access, b2_for_pods, tmp_path_factory.mktemp("estate")) as made:
        yield made


@pytest.fixture(scope="module")
def foreseen(home: Estate) -> Chapter:
    return chapter(home, "site.yml", "--check", "--diff", "-vvv")


@pytest.fixture(scope="module")
def rolled_out(home: Estate, foreseen: Chapter) -> Chapter:
    done = chapter(home, "site.yml", "--diff", "-vvv")
    for owner in home.owners.values():
        owner.only_what_tests_start_runs()
    return done


@pytest.fixture(scope="module")
def backed_up(home: Estate, rolled_out: Chapter) -> Chapter:
    return chapter(home, "backup.yml")


@pytest.fixture(scope="module")
def drilled(home: Estate, backed_up: Chapter) -> Chapter:
    return chapter(home, "drill.yml")


@pytest.fixture(scope="module")
def rolled_out_again(home: Estate, drilled: Chapter) -> Chapter:
    return chapter(home, "site.yml", "--diff")


@pytest.fixture(scope="module")
def judged(home: Estate, rolled_out_again: Chapter) -> Chapter:
    for owner in home.owners.values():
        owner.suspend(suspended=False)  # a gate is not open for CronJobs that start nothing
    return chapter(home, "gate.yml")


@pytest.fixture(scope="module")
def looked_at(home: Estate, judged: Chapter) -> Chapter:
    done = chapter(home, "status.yml")
    for owner in home.owners.values():
        owner.only_what_tests_start_runs()
    return done


@pytest.fixture(scope="module")
def changed(home: Estate, looked_at: Chapter) -> tuple[Chapter, Chapter]:
    """A change that was looked at and then made: forgejo is backed up more often, with another password, and paperless
    loses its NAS."""
    home.hosts["forgejo"]["app_period"] = "30m"
    home.hosts["forgejo"]["app_keep"] = {"hourly": 24, "daily": 7}
    home.change_password("forgejo")
    del home.hosts["paperless"]["app_destinations"]["nas"]
    command = ("site.yml", "--diff", "-vvv")
    return chapter(home, *command, "--check"), chapter(home, *command)


@pytest.fixture(scope="module")
def gone(home: Estate, changed: tuple[Chapter, Chapter]) -> Chapter:
    return chapter(home, "site.yml", "--limit", "nextcloud", "-e", "app_state=absent")


# What it shows


def test_check_mode_on_an_empty_cluster_foresees_every_column_and_makes_nothing(foreseen: Chapter) -> None:
    assert last_word(foreseen.run, "ROLL-OUT") == "ROLL-OUT NOT JUDGED: check mode does nothing"
    assert all(count >= 2 for count in changes(foreseen.run).values()), "a key and a column"
    assert foreseen.objects == {app: {} for app in APPS}


def test_the_roll_out_gives_each_of_the_five_apps_its_threads_and_proves_its_new_keys(
    rolled_out: Chapter, home: Estate
) -> None:
    assert last_word(rolled_out.run, "ROLL-OUT") == "ROLL-OUT OK (apps: 5, threads: 10)"
    assert threads_in(rolled_out.run, "PROBE PASS") == home.threads("nas", "b2")
    for app, found in rolled_out.objects.items():
        name = f"{home.owners[app].app}-database"
        assert found["CronJob"] == sorted([f"{name}-b2", f"{name}-b2-drill", f"{name}-nas"])
        assert found["Secret"] == sorted(["drill-identity", f"{name}-b2", f"{name}-b2-key", f"{name}-nas"])


def test_every_thread_backs_up(backed_up: Chapter, home: Estate) -> None:
    assert last_word(backed_up.run, "BACKUP") == "BACKUP OK (apps: 5, threads: 10)"
    assert threads_in(backed_up.run, "BACKUP OK") == home.threads("nas", "b2")
    for app in APPS:
        assert {copy.split("/")[0] for copy in backed_up.copies[app]} == {"nas", "b2"}, app


def test_every_app_s_copy_at_backblaze_passes_its_drill(drilled: Chapter, home: Estate) -> None:
    assert last_word(drilled.run, "DRILL") == "DRILL OK (apps: 5, threads: 5)"
    assert threads_in(drilled.run, "DRILL PASS") == home.threads("b2")


def test_every_question_is_answered_by_the_restored_database_as_by_the_live_one(drilled: Chapter) -> None:
    answers = [line for line in said(drilled.run) if ": restored " in line]
    questions = [
        question
        for path in (CHECKOUT / "inventories/home/host_vars").glob("*.yml")
        for question in yaml.safe_load(path.read_text())["app_drill_queries"]
    ]

    assert len(answers) == len(questions)
    for answer in answers:
        restored, dumped, live = re.search(r"restored (\S+), in the dump (\S+), live (\S+)", answer).groups()
        assert restored == dumped == live != "0", answer


def test_a_second_roll_out_changes_nothing(rolled_out_again: Chapter) -> None:
    assert changes(rolled_out_again.run) == UNCHANGED
    assert diffs(rolled_out_again.run) == []


def test_the_gate_opens(judged: Chapter, home: Estate) -> None:
    assert last_word(judged.run, "GATE") == "GATE OPEN (apps: 5, threads: 10)"
    assert threads_in(judged.run, "PROBE PASS") == home.threads("nas", "b2")


def test_the_status_tells_of_every_thread_and_knows_who_claims_it(looked_at: Chapter, home: Estate) -> None:
    assert last_word(looked_at.run, "STATUS") == "STATUS OK (apps: 5, threads: 10)"
    assert threads_in(looked_at.run, "STATUS") == home.threads("nas", "b2")
    unclaimed = {line.split(":")[0] for line in said(looked_at.run) if "no host of the inventory claims" in line}
    assert not unclaimed & {owner.app for owner in home.owners.values()}


def test_check_mode_before_a_change_shows_the_very_diff_of_the_change(
    changed: tuple[Chapter, Chapter], rolled_out_again: Chapter
) -> None:
    foreseen, made = changed

    assert diffs(foreseen.run) == diffs(made.run)
    assert {host for host, _diff in diffs(made.run)} == {"forgejo", "paperless"}
    assert changes(foreseen.run) == changes(made.run) == UNCHANGED | {"forgejo": 1, "paperless": 1}
    assert foreseen.objects == rolled_out_again.objects, "check mode changed nothing"
    assert made.objects["paperless"] != foreseen.objects["paperless"]


def test_the_diff_says_what_changed_line_by_line(changed: tuple[Chapter, Chapter], home: Estate) -> None:
    shown = dict(diffs(changed[1].run))
    forgejo, paperless = home.owners["forgejo"].app, home.owners["paperless"].app

    lines = [line for line in shown["forgejo"].splitlines() if line.startswith("+ ")]
    assert [line for line in lines if re.search(r" schedule: \d+,\d+ \* \* \* \*$", line)], shown["forgejo"]
    assert [line for line in lines if line.endswith(" password: <changed>")], shown["forgejo"]
    assert f"-    CronJob {paperless}-database-nas:" in shown["paperless"].splitlines()
    assert f"{forgejo}-database-b2-key" not in shown["forgejo"], "nobody asked for another key"


def test_no_secret_shows_at_the_highest_verbosity_that_is_read_nor_in_a_diff(
    foreseen: Chapter, rolled_out: Chapter, changed: tuple[Chapter, Chapter]
) -> None:
    told = (foreseen, rolled_out, *changed)
    secrets = set().union(*(each.secrets for each in told))

    # Passwords (one changed), the account's key, superusers, drill identities, keys of threads.
    assert len(secrets) == 5 + 1 + 1 + 2 + 5 + 5
    for each in told:
        assert [secret for secret in secrets if secret in each.run.stdout + each.run.stderr] == []


def test_an_absent_app_leaves_its_copies_its_namespace_what_decrypts_them_and_whose_they_are(
    gone: Chapter, changed: tuple[Chapter, Chapter], home: Estate
) -> None:
    owner = home.owners["nextcloud"]

    assert last_word(gone.run, "ROLL-OUT") == "ROLL-OUT OK (apps: 1)"
    # Whose its prefixes are is known on: a column that comes back owns them still.
    assert gone.objects["nextcloud"] == {"Secret": ["drill-identity"], "ConfigMap": ["onboarded"]}
    assert gone.copies == changed[1].copies
    assert {copy.split("/")[0] for copy in gone.copies["nextcloud"]} == {"nas", "b2"}
    assert home.access.core.read_namespace(owner.namespace).status.phase == "Active"
    assert [
        claim.metadata.name for claim in home.access.core.list_namespaced_persistent_volume_claim(owner.namespace).items
    ] == ["nas"]
    assert not [name for name in home.account.names() if f"-{owner.app}-" in name], "its key is no key any more"
    for app in set(APPS) - {"nextcloud"}:
        assert gone.objects[app] == changed[1].objects[app]
