# SPDX-License-Identifier: GPL-3.0-or-later
"""What no tool checks: facts that stand twice, and packages that must carry everything and nothing more."""

from __future__ import annotations

import dataclasses
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path
from typing import Any

import pytest
import yaml

from fanout.inventory.variables import LonghornVariables, Secrets, Variables
from tools import sanity

CHECKOUT = Path(__file__).resolve().parents[2]
LIBRARY = CHECKOUT / "plugins/module_utils"
SPECS = sorted(CHECKOUT.glob("roles/*/meta/argument_specs.yml"))

GALAXY = yaml.safe_load((CHECKOUT / "galaxy.yml").read_text())
RUNTIME = yaml.safe_load((CHECKOUT / "meta/runtime.yml").read_text())
PROJECT = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["project"]


def run(*command: str | Path, cwd: Path = CHECKOUT, stdin: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(part) for part in command], cwd=cwd, input=stdin, capture_output=True, text=True, timeout=120, check=False
    )


# The same fact in two places


def test_every_module_stands_in_the_action_group_that_its_name_says_and_no_group_names_another() -> None:
    modules = sorted(path.stem for path in CHECKOUT.glob("plugins/modules/*.py"))

    apart = ("b2_", "longhorn_")
    assert RUNTIME["action_groups"] == {
        "b2": [name for name in modules if name.startswith("b2_")],
        "column": [name for name in modules if not name.startswith(apart)],
        "longhorn": [name for name in modules if name.startswith("longhorn_")],
    }


def test_the_collection_and_the_python_package_have_one_version() -> None:
    assert GALAXY["version"] == PROJECT["version"]


def test_the_collection_and_the_python_package_want_the_same_ansible_core() -> None:
    wanted = RUNTIME["requires_ansible"]

    assert PROJECT["optional-dependencies"]["ansible"] == [f"ansible-core{wanted}"]


def test_an_execution_environment_installs_what_the_python_package_depends_on() -> None:
    lines = (CHECKOUT / "meta/ee-requirements.txt").read_text().splitlines()

    wanted = [*PROJECT["dependencies"], *PROJECT["optional-dependencies"]["kubernetes"]]
    assert [line for line in lines if not line.startswith("#")] == wanted


@pytest.mark.parametrize("spec_file", SPECS, ids=lambda path: path.parts[-3])
def test_a_role_documents_the_defaults_that_it_has_and_otherwise_only_those_of_the_inventory(spec_file: Path) -> None:
    specs = yaml.safe_load(spec_file.read_text())["argument_specs"]
    defaults_file = spec_file.parents[1] / "defaults/main.yml"
    defaults: dict[str, Any] = (yaml.safe_load(defaults_file.read_text()) or {}) if defaults_file.exists() else {}

    documented: dict[str, Any] = {}
    for entry_point in specs.values():
        for name, option in (entry_point.get("options") or {}).items():
            assert not (option.get("required") and "default" in option), f"{name} is required and has a default"
            if "default" in option:
                assert documented.setdefault(name, option["default"]) == option["default"], f"{name} has two defaults"
    of_inventory = {
        field.name for record in (Variables, Secrets, LonghornVariables) for field in dataclasses.fields(record)
    }
    assert {name: value for name, value in documented.items() if name not in of_inventory - set(defaults)} == defaults


def test_the_addresses_of_the_docs_site_are_those_of_the_collection() -> None:
    links = yaml.safe_load((CHECKOUT / "docs/docsite/links.yml").read_text())
    repository = links["edit_on_github"]["repository"]

    assert GALAXY["repository"] == GALAXY["homepage"] == f"https://github.com/{repository}"
    assert [link["url"] for link in links["extra_links"]] == [GALAXY["documentation"], GALAXY["issues"]]


# The licence

SPDX = "SPDX-License-Identifier: GPL-3.0-or-later"
# ansible-test's validate-modules looks for these words in what it validates.
GNU = "# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)"
VALIDATED = ("plugins/filter/", "plugins/modules/")


def has_header(name: str, text: str) -> bool:
    """Whether a file of code begins with the one header that files of its kind have."""
    if name.endswith(".c"):
        return text.startswith(f"/* {SPDX}")
    lines = text.removeprefix("#!/bin/sh\n").splitlines()
    wanted = [f"# {SPDX}", *([GNU] if name.startswith(VALIDATED) else [])]
    says = [line for line in lines[:10] if "Copyright" in line or "General Public License" in line]
    return lines[: len(wanted)] == wanted and says == wanted[1:]


def test_every_file_of_code_begins_with_one_licence_header() -> None:
    tracked = [CHECKOUT / name for name in sanity.git_files(CHECKOUT, "--cached")]
    code = [
        path
        for path in tracked
        if path.is_file() and (path.suffix in (".py", ".sh", ".c") or path.name in ("Makefile", "Containerfile"))
    ]
    # ansible-test demands that packages of plugins are empty.
    texts = {str(path.relative_to(CHECKOUT)): text for path in code if (text := path.read_text())}

    assert len(texts) > 500
    assert [name for name, text in texts.items() if not has_header(name, text)] == []


@pytest.mark.parametrize(
    ("name", "text", "right"),
    [
        ("tools/a.py", f"# {SPDX}\n", True),
        ("tools/a.py", f'"""A text."""\n# {SPDX}\n', False),
        ("tools/a.py", f"# {SPDX}\n{GNU}\n", False),
        ("tools/a.py", f"# {SPDX}\n# Copyright: somebody\n", False),
        ("plugins/modules/a.py", f"# {SPDX}\n{GNU}\n", True),
        ("plugins/modules/a.py", f"# {SPDX}\n", False),
        ("a.sh", f"#!/bin/sh\n# {SPDX}\n", True),
        ("a.c", f"/* {SPDX} */\n", True),
        ("a.c", "/* A text. */\n", False),
    ],
)
def test_a_licence_header_is_known_from_another(name: str, text: str, right: bool) -> None:
    assert has_header(name, text) == right


# The Python package


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of the library as it lies in the checkout."""
    source, target = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    for name in ("pyproject.toml", "setup.py", "README.md", "LICENSE"):
        shutil.copy(CHECKOUT / name, source)
    for folder in ("plugins/module_utils", "runner"):
        shutil.copytree(CHECKOUT / folder, source / folder, ignore=shutil.ignore_patterns("__pycache__"))

    # Offline: setuptools is a development dependency for this.
    options = ("--no-deps", "--no-index", "--no-build-isolation", "--wheel-dir", target)
    built = run(sys.executable, "-m", "pip", "wheel", *options, source)

    assert built.returncode == 0, built.stdout + built.stderr
    return next(target.glob("*.whl"))


def modules_in(wheel: Path) -> set[str]:
    """The names of all modules that the wheel would install."""
    files = (Path(name) for name in zipfile.ZipFile(wheel).namelist() if name.endswith(".py"))
    return {".".join(path.parent.parts if path.name == "__init__.py" else path.with_suffix("").parts) for path in files}


def test_the_wheel_carries_the_whole_library_and_the_runner_and_nothing_of_wiring(wheel: Path) -> None:
    library = {path.relative_to(LIBRARY) for path in LIBRARY.rglob("*.py")}
    runner = {path.relative_to(CHECKOUT) for path in (CHECKOUT / "runner").rglob("*.py")}
    wanted = {Path("fanout") / path for path in library | runner if path.parts[0] != "wiring"}

    carried = {Path(name) for name in zipfile.ZipFile(wheel).namelist() if name.endswith(".py")}

    assert carried == wanted


def test_every_module_of_the_wheel_is_imported_by_a_python_that_has_nothing_else_installed(wheel: Path) -> None:
    names = sorted(name for name in modules_in(wheel) if not name.endswith("__main__"))
    program = (
        f"import importlib, sys; sys.path.insert(0, {str(wheel)!r})\nfor name in {names}: importlib.import_module(name)"
    )

    imported = run(sys.executable, "-I", "-S", "-c", program)

    assert imported.returncode == 0, imported.stderr
    assert imported.stdout == "", "an import prints"


# The collection


def test_the_built_collection_holds_nothing_that_git_ignores(tmp_path: Path) -> None:
    built = run(Path(sys.executable).with_name("ansible-galaxy"), "collection", "build", "--output-path", tmp_path)
    assert built.returncode == 0, built.stderr
    with tarfile.open(next(tmp_path.glob("*.tar.gz"))) as artifact:
        files = artifact.getnames()

    ignored = run("git", "check-ignore", "--stdin", stdin="\n".join(files))

    assert "plugins/module_utils/contract/errors.py" in files
    assert ignored.stdout.split() == []
    assert ignored.returncode == 1, "git found none; 128 would be an error"


# The sanity wrapper


def stand_in_for_ansible_test(folder: Path, output: str, exit_code: int) -> Path:
    program = folder / "ansible-test"
    program.write_text(f"#!/bin/sh\necho '{output}'\nexit {exit_code}\n")
    program.chmod(0o755)
    return program


def test_sanity_fails_when_nothing_was_tested_although_ansible_test_calls_it_success(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    program = stand_in_for_ansible_test(tmp_path, "WARNING: All targets skipped.", 0)

    assert sanity.sanity(program, tmp_path, ()) == 1
    assert "nothing was tested" in capfd.readouterr().err


@pytest.mark.parametrize("exit_code", [0, 1])
def test_sanity_otherwise_says_what_ansible_test_says(tmp_path: Path, exit_code: int) -> None:
    program = stand_in_for_ansible_test(tmp_path, 'Running sanity test "pylint"', exit_code)

    assert sanity.sanity(program, tmp_path, ()) == exit_code


def test_sanity_tests_the_work_tree_s_version_of_every_tracked_file_and_names_those_git_does_not_know(
    tmp_path: Path,
) -> None:
    (tmp_path / "plugins").mkdir()
    (tmp_path / ".gitignore").write_text("*.pyc\n")
    (tmp_path / "plugins/tracked.py").write_text("old")
    (tmp_path / "plugins/deleted.py").write_text("old")
    assert run("git", "init", "--quiet", cwd=tmp_path).returncode == 0
    assert run("git", "add", ".", cwd=tmp_path).returncode == 0
    (tmp_path / "plugins/tracked.py").write_text("new")
    (tmp_path / "plugins/deleted.py").unlink()
    (tmp_path / "plugins/new.py").touch()
    (tmp_path / "plugins/new.pyc").touch()

    with sanity.collection_copy(tmp_path) as copy:
        assert copy.parts[-3:] == ("ansible_collections", "fanout", "backup")
        assert sorted(path.name for path in copy.rglob("*") if path.is_file()) == [".gitignore", "tracked.py"]
        assert (copy / "plugins/tracked.py").read_text() == "new"
    assert not copy.exists()
    assert sanity.untracked_plugin_files(tmp_path) == ["plugins/new.py"]


def test_the_stand_in_for_pip_s_bootstrap_is_there_while_in_use_and_never_replaces_the_real_one(tmp_path: Path) -> None:
    real, missing = (tmp_path / name for name in sanity.PIP_BOOTSTRAPS)
    real.write_text("real")

    with sanity.pip_bootstraps(tmp_path):
        assert real.read_text() == "real"
        assert missing.read_text() == sanity.PIP_STAND_IN
    assert list(tmp_path.iterdir()) == [real]


def test_every_claim_of_the_page_on_walls_names_a_test_that_exists() -> None:
    page = (CHECKOUT / "docs/security.md").read_text()
    named = set(re.findall(r"\btest_[a-z0-9_]+", page))
    made = {
        name
        for path in (CHECKOUT / "tests").rglob("test_*.py")
        for name in re.findall(r"^def (test_[a-z0-9_]+)", path.read_text(), re.MULTILINE)
    }
    assert len(named) > 30
    assert named - made == set()
