# SPDX-License-Identifier: GPL-3.0-or-later
"""The one thing that pyproject.toml cannot say: packages that are found and renamed at once.

The library lies in plugins/module_utils, where Ansible wants it, and is installed as `fanout`. Everything else stands
in pyproject.toml.
"""

from __future__ import annotations

from setuptools import find_packages, setup

LIBRARY = "plugins/module_utils"
RUNNER = "runner"

setup(
    package_dir={"fanout": LIBRARY, "fanout.runner": RUNNER},
    packages=[
        "fanout",
        # wiring is Ansible's side of the modules: it needs ansible-core, which the installed command does without.
        *(f"fanout.{name}" for name in find_packages(LIBRARY, exclude=["wiring", "wiring.*"])),
        "fanout.runner",
        *(f"fanout.runner.{name}" for name in find_packages(RUNNER)),
    ],
)
