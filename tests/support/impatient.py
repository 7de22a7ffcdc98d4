# SPDX-License-Identifier: GPL-3.0-or-later
"""The command `fanout` with shorter waits: `python -m tests.support.impatient backup --thread FILE`.

Numbers alone differ from the command that users run. Theirs are minutes, and a test that sits through them proves
nothing more.
"""

from __future__ import annotations

import functools
import sys

from fanout.destinations import registry
from fanout.destinations.retry import Patience
from fanout.runner import ending, main
from fanout.sources.postgresql import dump

registry.Patience = functools.partial(Patience, connect=3, read=3, pause=0.05)
dump.LOCK_TIMEOUT = 2
ending.GRACE = 8.0

if __name__ == "__main__":
    sys.exit(main.main())
