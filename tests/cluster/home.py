# SPDX-License-Identifier: GPL-3.0-or-later
"""python -m tests.cluster.home FILE: give one app a database and a NAS in the running cluster, and write its inventory.

For molecule, which takes the cluster down afterwards, with all that is in it.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from tests.sandbox.cluster import places, state
from tests.sandbox.cluster.access import Access
from tests.sandbox.places import write_private

from .columns import SUPERUSER_PASSWORD, Database, Owner


def main() -> None:
    access = Access(state.load())
    owner = Owner(access, Database(access, access.new_namespace()), places.folder() / "nas")
    owner.have_namespace()
    owner.bring_nas()
    inventory = owner.inventory(app_restore_user="postgres", app_restore_password=SUPERUSER_PASSWORD)
    write_private(Path(sys.argv[1]), json.dumps(inventory, indent=2))


if __name__ == "__main__":
    main()
