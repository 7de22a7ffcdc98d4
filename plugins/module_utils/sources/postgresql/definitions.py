# SPDX-License-Identifier: GPL-3.0-or-later
"""Two definitions of one object, shown in one line that holds what differs, and no secret."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator

_LONGEST = 300  # characters of one side
_BEFORE = 60  # of them before the first difference

# Kinds whose options hold logins and passwords: no text of theirs is shown.
_CONFIDENTIAL = {"USER MAPPING", "SUBSCRIPTION", "SERVER", "FOREIGN DATA WRAPPER", "FOREIGN TABLE"}
_TEXT = re.compile(r"E?'(?:[^']|'')*'")
# A text, a name, or whatever else stands between. Each matches where it is tried, ended or not, so that what an app's
# owner has written is read once, however long it is.
_TOKEN = re.compile(rf"""(?P<text>{_TEXT.pattern}?)|(?P<name>"(?:[^"]|"")*"?|\w+)|=|[^\s=]""")
# What programmers write into functions and views: the password of a dblink, a token in an address. Behind its word
# follows no other one, for which the rest of a long name would be read again.
_WORD = r"(?:passw(?:or)?d|pwd|secret|token|api_?key)"
_SECRET = re.compile(
    rf"""({_WORD}(?:(?!{_WORD})\w)*["']?\s*(?:=>|:=|=|:)\s*)({_TEXT.pattern}|[^\s'",;&)]+)|(://)[^\s/@']+@""",
    re.IGNORECASE,
)


def both(description: str, wanted: str, found: str) -> str:
    """Return where the definitions of an object differ, as "(in the dump: ...; restored: ...)": the lines that are not
    in both, around their first difference. Of what may hold a secret only the option is named."""
    if description in _CONFIDENTIAL:
        options = _options(wanted, found)
        wanted, found = (_TEXT.sub("'...'", text) for text in (wanted, found))
        if wanted == found:
            return f"({', '.join(f'option {name}' for name in options) or 'in a text'})"
    masked = [without_secrets("", text) for text in (wanted, found)]
    if masked[0] == masked[1]:
        return "(in what may be a secret)"
    (wanted, found) = _cut(*_unlike(*masked))
    return f"(in the dump: {wanted}; restored: {found})"


def without_secrets(description: str, definition: str) -> str:
    """Return a definition in which three dots stand for whatever may be a secret."""
    masked = _TEXT.sub("'...'", definition) if description in _CONFIDENTIAL else definition
    return _SECRET.sub(r"\1\3...", masked)


def _options(wanted: str, found: str) -> list[str]:
    """Return the names of the options whose texts differ."""
    before, after = (dict(_texts(text)) for text in (wanted, found))
    return sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name))


def _texts(definition: str) -> Iterator[tuple[str, str]]:
    """Yield each text with the name that it follows: an option's, or CONNECTION."""
    name = ""
    for token in _TOKEN.finditer(definition):
        if name and token["text"]:
            yield name, token["text"]
        if token[0] != "=":
            name = token["name"] or ""


def _unlike(wanted: str, found: str) -> tuple[str, str]:
    """Return the lines that only one side has; if these are the same lines in another order, all of them."""
    lines = [[" ".join(line.split()) for line in text.splitlines() if line.strip()] for text in (wanted, found)]
    only = [_without(lines[0], lines[1]), _without(lines[1], lines[0])]
    return (" ".join(only[0] if any(only) else lines[0]), " ".join(only[1] if any(only) else lines[1]))


def _without(lines: list[str], others: list[str]) -> list[str]:
    left = Counter(others)
    kept = []
    for line in lines:
        left[line] -= 1
        if left[line] < 0:
            kept.append(line)
    return kept


def _cut(wanted: str, found: str) -> tuple[str, str]:
    pairs = zip(wanted, found, strict=False)
    first = next((at for at, (one, other) in enumerate(pairs) if one != other), min(len(wanted), len(found)))
    return _around(wanted, first), _around(found, first)


def _around(text: str, place: int) -> str:
    if not text:
        return "nothing"
    start = max(0, place - _BEFORE) if len(text) > _LONGEST else 0
    cut = text[start : start + _LONGEST]
    return f"{'... ' if start else ''}{cut}{' ...' if start + _LONGEST < len(text) else ''}"
