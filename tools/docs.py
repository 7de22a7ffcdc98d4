# SPDX-License-Identifier: GPL-3.0-or-later
"""Build the docs site into build/docs: the pages in docs/*.md, and what antsibull-docs makes of modules and roles.

    python -m tools.docs

docs/README.md is the index, on the site as on a page that shows folders. Its links are the site's table of contents: a
page that it does not name is an error. All warnings are errors, and nothing is fetched from the network.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import yaml

CHECKOUT = Path(__file__).resolve().parent.parent
DOCS = CHECKOUT / "docs"
BUILT = CHECKOUT / "build/docs"
INDEX = "README.md"
# Where antsibull-docs puts its pages below the site's root, and the page that begins them.
COLLECTION = PurePosixPath("collections/fanout/backup")
_PROGRAMS = Path(sys.executable).parent
_LINK = re.compile(r"(?<!!)\[(?P<text>[^\]]*)\]\((?P<target>[^)\s]+)\)")
_CODE = re.compile(r"^(```|~~~).*?^\1", re.MULTILINE | re.DOTALL)


def main() -> int:
    """Build the site. Return the first exit code that is not 0."""
    shutil.rmtree(BUILT, ignore_errors=True)
    source = BUILT / "source"
    source.mkdir(parents=True, mode=0o755)
    options = ("--use-current", "--fail-on-error", "--no-indexes", "--no-add-antsibull-docs-version")
    failed = _run("antsibull-docs", "collection", *options, "--dest-dir", source, "fanout.backup")
    if failed:
        return failed
    repository = yaml.safe_load((CHECKOUT / "galaxy.yml").read_text(encoding="utf-8"))["repository"]
    for page in sorted(DOCS.glob("*.md")):
        text = on_the_site(page.read_text(encoding="utf-8"), repository)
        name = "index.md" if page.name == INDEX else page.name
        (source / name).write_text(text + (table_of_contents(text) if page.name == INDEX else ""), encoding="utf-8")
    html = BUILT / "html"
    failed = _run("sphinx-build", "-q", "-b", "html", "-W", "--keep-going", "-c", DOCS / "docsite", source, html)
    if not failed:
        print(f"the site is {html.relative_to(CHECKOUT)}/index.html")
    return failed


def links(text: str) -> Iterator[str]:
    """Yield the targets of all links of a page, but for those in blocks of code."""
    yield from (found["target"] for found in _LINK.finditer(_CODE.sub("", text)))


def pages(text: str) -> list[str]:
    """Return the names of the pages in docs/ that a page links to, each once, in their order."""
    files = (target.partition("#")[0] for target in links(text))
    return list(dict.fromkeys(file for file in files if file.endswith(".md") and "/" not in file))


def on_the_site(text: str, repository: str) -> str:
    """Return a page whose links to files outside of docs/ lead to the repository."""
    return re.sub(r"\]\(\.\./(?P<path>[^)\s]+)\)", rf"]({repository}/blob/main/\g<path>)", text)


def table_of_contents(index: str) -> str:
    """Return what Sphinx takes for the table of contents: the pages of the index, then modules and roles."""
    names = [name.removesuffix(".md") for name in pages(index)]
    listed = "\n".join([*names, f"Modules and roles <{COLLECTION}/index>"])
    return f"\n```{{toctree}}\n:hidden:\n\n{listed}\n```\n"


def _run(program: str, *arguments: str | Path) -> int:
    # antsibull-docs calls ansible-doc, and finds the collection by the link that make creates.
    environment = {
        **os.environ,
        "PATH": f"{_PROGRAMS}{os.pathsep}{os.environ.get('PATH', '')}",
        "ANSIBLE_COLLECTIONS_PATH": str(CHECKOUT / ".collections"),
    }
    command = (str(_PROGRAMS / program), *map(str, arguments))
    return subprocess.run(command, cwd=CHECKOUT, env=environment, timeout=600, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
