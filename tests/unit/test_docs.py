# SPDX-License-Identifier: GPL-3.0-or-later
"""The documentation says what the code says, and nobody gets lost in it."""

from __future__ import annotations

import argparse
import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from fanout.contract.errors import Exit
from fanout.runner.acts import ACTS
from fanout.runner.main import parser
from fanout.sources.postgresql.archive_toc import VERSIONS
from tools import docs

from .test_floors import FLOORS

CHECKOUT = Path(__file__).resolve().parents[2]
PAGES = sorted((CHECKOUT / "docs").glob("*.md"))
AT_THE_TOP = [CHECKOUT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md")]
LIBRARY = CHECKOUT / "plugins/module_utils"


def page(name: str) -> str:
    return (CHECKOUT / "docs" / name).read_text()


def section(text: str, heading: str) -> str:
    """What stands below a heading, up to the next one of its level or above."""
    level = heading.partition(" ")[0]
    found = re.search(rf"^{re.escape(heading)}$\n(.*?)(?=^#{{1,{len(level)}}} |\Z)", text, re.MULTILINE | re.DOTALL)
    assert found, f"there is no heading {heading!r}"
    return found[1]


def rows(text: str) -> list[list[str]]:
    """The cells of all rows of the tables in a text, without their heads."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    rules = [number for number, line in enumerate(cells) if set("".join(line)) <= {"-"}]
    return [line for number, line in enumerate(cells) if number not in rules and number + 1 not in rules]


def anchors(text: str) -> set[str]:
    """The anchors of a page's headings, as GitHub and the site make them."""
    headings = re.findall(r"^#+ (.+)$", re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


# Nobody gets lost


def test_the_index_names_every_page_and_none_that_is_not_there() -> None:
    named = docs.pages(page(docs.INDEX))

    assert sorted(named) == [path.name for path in PAGES if path.name != docs.INDEX]


@pytest.mark.parametrize("path", [*PAGES, *AT_THE_TOP], ids=lambda path: path.name)
def test_every_link_leads_to_a_file_and_to_a_heading_that_exist(path: Path) -> None:
    for target in docs.links(path.read_text()):
        file, _hash, anchor = target.partition("#")
        if "://" in file:
            continue
        leads_to = (path.parent / file).resolve() if file else path
        assert leads_to.exists(), target
        assert not anchor or anchor in anchors(leads_to.read_text()), target


def test_links_out_of_the_docs_lead_to_the_repository_on_the_site() -> None:
    text = "[a](../SECURITY.md) and [b](restore.md#the-login) and `](../x)`"

    assert docs.on_the_site(text, "https://example.org/x") == (
        "[a](https://example.org/x/blob/main/SECURITY.md) and [b](restore.md#the-login) and"
        " `](https://example.org/x/blob/main/x)`"
    )


def test_the_table_of_contents_of_the_site_has_the_pages_of_the_index_once_and_the_modules() -> None:
    contents = docs.table_of_contents(
        "[a](one.md) [b](two.md#there) [c](one.md) [d](../X.md)\n```\n[e](three.md)\n```\n"
    )

    assert contents.split("\n\n")[1].splitlines() == [
        "one",
        "two",
        "Modules and roles <collections/fanout/backup/index>",
        "```",
    ]


# The command


def subcommands() -> dict[str, argparse.ArgumentParser]:
    (found,) = (action for action in parser()._actions if isinstance(action, argparse._SubParsersAction))
    return dict(found.choices)


def test_the_page_has_every_command_and_no_other() -> None:
    text = section(page("command.md"), "## Commands")

    assert re.findall(r"^### fanout (\S+)$", text, re.MULTILINE) == list(subcommands())
    results = {
        word for line in rows(section(page("command.md"), "## Output")) for word in re.findall(r"^`(.+)`$", line[0])
    }
    assert set(ACTS) <= results


@pytest.mark.parametrize("name", list(subcommands()))
def test_the_page_has_every_option_of_a_command_and_no_other(name: str) -> None:
    documented = [line[0].strip("`") for line in rows(section(page("command.md"), f"### fanout {name}"))]

    taken = [
        f"{action.option_strings[0]} {action.metavar}" if action.metavar else action.option_strings[0]
        for action in subcommands()[name]._actions
        if action.dest not in ("help", "thread")
    ]
    assert sorted(documented) == sorted(taken)


def test_the_page_has_the_exit_codes_of_the_command() -> None:
    documented = {int(line[0]): line[1].strip("`") for line in rows(section(page("command.md"), "## Exit codes"))}

    assert documented == {code.value: code.name.lower() for code in Exit}


def test_troubleshooting_has_every_exit_code_of_a_failure() -> None:
    documented = [int(line[0]) for line in rows(section(page("troubleshooting.md"), "## By exit code"))]

    assert documented == sorted(code.value for code in Exit if code != Exit.OK)


# What is quoted from the code


def texts() -> Iterator[str]:
    """Every text in the code, with a mark in the place of what is filled in, and the playbooks as they are."""
    for folder in ("plugins", "runner"):
        for path in (CHECKOUT / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.JoinedStr):
                    yield "".join(str(part.value) if isinstance(part, ast.Constant) else "\0" for part in node.values)
                elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                    yield node.value
    for path in (CHECKOUT / "playbooks").rglob("*.yml"):
        yield path.read_text()


def test_every_message_in_troubleshooting_is_one_of_the_code() -> None:
    text = section(page("troubleshooting.md"), "## By message") + section(
        page("troubleshooting.md"), "## By what status says"
    )
    quoted = [line[0].strip("`") for line in rows(text)]
    code = "\n\n".join(" ".join(each.split()) for each in texts())

    missing = [each for each in quoted if not re.search(".{0,80}".join(map(re.escape, each.split(" ... "))), code)]

    assert len(quoted) > 40
    assert missing == []


def test_the_page_on_a_new_major_lists_the_versions_that_are_read() -> None:
    listed = [
        line[0] for line in rows(section(page("postgresql_major.md"), "## When pg_dump writes a new archive version"))
    ]

    assert listed == [".".join(map(str, version)) for version in VERSIONS]


# The layout


def test_the_page_on_the_layout_has_the_rooms_on_their_floors() -> None:
    listed = [(int(line[0]), line[1].strip("`")) for line in rows(section(page("layout.md"), "## Rooms"))]

    assert listed == [(number, room) for number, floor in enumerate(FLOORS, 1) for room in floor]


def test_every_file_that_the_page_on_the_layout_names_is_there() -> None:
    rooms = {room for floor in FLOORS for room in floor}
    named = set(re.findall(r"[a-z0-9_]+(?:/[a-z0-9_]+)+\.py", page("layout.md")))
    there = {name: (LIBRARY / name if name.split("/")[0] in rooms else CHECKOUT / name).exists() for name in named}

    assert len(there) > 15
    assert [name for name, exists in there.items() if not exists] == []


def test_every_word_that_contributors_keep_to_stands_in_the_glossary() -> None:
    contributing = (CHECKOUT / "CONTRIBUTING.md").read_text()
    listed = re.search(r"One word for one thing[^:]*:(.*?)\.", contributing, re.DOTALL)
    assert listed
    words = {word.strip() for word in listed[1].split(",")}
    known = {line[0] for line in rows(page("glossary.md"))}

    assert len(words) > 10
    assert {word for word in words if not any(word in each.split(", ") for each in known)} == set()
