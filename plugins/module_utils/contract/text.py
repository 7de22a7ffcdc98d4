# SPDX-License-Identifier: GPL-3.0-or-later
"""Text from outside, made fit for one line of output: it breaks no line, commands no terminal and turns no letters
round."""

from __future__ import annotations

from collections.abc import Sequence

# In the environment of a command whose result is read out of a log: so that no other line can be taken for it.
NONCE = "FANOUT_NONCE"
LONGEST = 2000  # letters of what others have written that are shown: a screen full
_NAMED = 3
_NARROW = "\N{NO-BREAK SPACE}"  # which our own numbers have


def shortened(text: str, longest: int = LONGEST) -> str:
    """Return the text, cut behind so many letters: whoever writes at a destination may write without end."""
    return text if len(text) <= longest else f"{text[:longest]}..."


def few(names: Sequence[str]) -> str:
    """Return the first names of a list, and how many there are more: whoever writes at a destination may write any
    number."""
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return f"{', '.join(names[:_NAMED])}{more}"


def printable(text: str) -> str:
    """Return the text with everything in it escaped that is no letter, sign or plain blank."""
    if text.isprintable():
        return text
    return "".join(letter if letter.isprintable() or letter == _NARROW else ascii(letter)[1:-1] for letter in text)
