# SPDX-License-Identifier: GPL-3.0-or-later
"""Schemas of every kind of object that holds expressions, put together by chance from the forms of schemas/forms.txt:
what PostgreSQL prints otherwise than it was written, or otherwise each time that it is read again."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from pathlib import Path

_FORMS = Path(__file__).parents[1] / "support" / "schemas" / "forms.txt"
_SECTION = re.compile(r"== (?P<name>[a-z ]+?)(?: (?P<needed>\d+|xml))?\n(?P<lines>(?:(?!==).+\n)+)")


def statements(seed: int, major: int, *, xml: bool) -> Iterator[str]:
    """Yield the statements that make the schema `generated_<seed>`, the same each time. Only what `major` knows is
    used, and XML only if the server has it."""
    yield from _Generator(seed, major, xml=xml).statements()


class _Generator:
    def __init__(self, seed: int, major: int, *, xml: bool) -> None:
        self._random = random.Random(seed)
        self._major = major
        self._s = f"generated_{seed}"
        self._forms: dict[str, list[str]] = {}
        for match in _SECTION.finditer(_FORMS.read_text(encoding="utf-8")):
            needed = match["needed"]
            if needed is None or (xml if needed == "xml" else major >= int(needed)):
                lines = match["lines"].replace("{s}", self._s).splitlines()
                self._forms.setdefault(match["name"], []).extend(lines)

    def statements(self) -> Iterator[str]:
        """Yield what makes the tables first, then what refers to them."""
        yield from self._forms["preparation"]
        yield self._table()
        # Every condition by itself once, whatever chance does with it.
        for number, condition in enumerate(self._forms["conditions"]):
            yield f"ALTER TABLE {self._s}.t ADD CONSTRAINT check_{number} CHECK ({condition})"
        yield from self._indexes()
        yield from self._triggers_rules_statistics()
        yield from self._views_and_policies()
        yield from self._functions()
        yield from (text.replace("{w}", self._condition(1)) for text in self._forms["others"])

    def _condition(self, depth: int = 2, *more: str) -> str:
        """Return conditions in a tree of AND, OR and NOT. `more` are sections that they may be of as well."""
        chance = self._random.random()
        if depth == 0 or chance < 0.2:
            return self._random.choice(self._all("conditions", *more))
        if chance < 0.3:
            return f"NOT ({self._condition(depth - 1, *more)})"
        parts = [self._condition(depth - 1, *more) for _ in range(self._random.randint(2, 3))]
        if self._random.random() < 0.5:
            parts = [f"({part})" for part in parts]
        return self._random.choice((" AND ", " OR ")).join(parts)

    def _all(self, *sections: str) -> list[str]:
        return [line for section in sections for line in self._forms[section]]

    def _table(self) -> str:
        columns = self._forms["columns"].copy()
        texts = self._random.sample(self._forms["texts"], 4)
        columns += [f"g{i} text GENERATED ALWAYS AS ({text}) STORED" for i, text in enumerate(texts)]
        columns += [f"h{i} boolean GENERATED ALWAYS AS ({self._condition()}) STORED" for i in range(4)]
        if self._major >= 18:
            columns += [f"k{i} boolean GENERATED ALWAYS AS (v {form}) VIRTUAL" for i, form in enumerate(
                ("IN ('a', 'b')", "NOT IN ('a') AND n BETWEEN 1 AND 5", "= ANY (ARRAY['a', 'b']::varchar(3)[])")
            )]  # fmt: skip
        columns += [f"CONSTRAINT tree_{i} CHECK ({self._condition(3, 'stable conditions')})" for i in range(8)]
        return f"CREATE TABLE {self._s}.t ({', '.join(columns)})"

    def _indexes(self) -> Iterator[str]:
        for i in range(10):
            value = self._random.choice(self._all("texts", "numbers"))
            yield f"CREATE INDEX i{i} ON {self._s}.t (({value}), v) WHERE {self._condition()}"
        for i, condition in enumerate(self._random.sample(self._forms["conditions"], 20)):
            yield f"CREATE INDEX p{i} ON {self._s}.t (({condition}))"

    def _triggers_rules_statistics(self) -> Iterator[str]:
        s = self._s
        for i in range(4):
            row = self._random.choice(self._forms["rows"])
            yield (
                f"CREATE TRIGGER fired{i} BEFORE UPDATE ON {s}.other FOR EACH ROW WHEN ({row})"
                f" EXECUTE FUNCTION {s}.fired()"
            )
            yield (
                f"CREATE RULE r{i} AS ON UPDATE TO {s}.other WHERE {row}"
                f" DO ALSO INSERT INTO {s}.other SELECT n, 'b', v FROM {s}.t WHERE {self._condition()}"
            )
            text = self._random.choice(self._forms["texts"])
            case = f"CASE WHEN {self._condition(1)} THEN 1 END"
            yield f"CREATE STATISTICS {s}.s{i} (mcv) ON ({text}), ({case}) FROM {s}.t"

    def _views_and_policies(self) -> Iterator[str]:
        s = self._s
        for i, template in enumerate(self._forms["views"]):
            query = template.replace("{w}", f"({self._condition(2, 'stable conditions')})")
            query = query.replace("{q}", self._random.choice(self._forms["subqueries"]))
            kind = "MATERIALIZED VIEW" if i % 4 == 3 else "VIEW"
            yield f"CREATE {kind} {s}.view{i} AS {query}"
        for i in range(6):
            condition = self._condition(2, "stable conditions", "subqueries")
            yield f"CREATE POLICY p{i} ON {s}.t USING ({condition})"
            yield f"CREATE POLICY c{i} ON {s}.t AS RESTRICTIVE FOR INSERT WITH CHECK ({condition})"

    def _functions(self) -> Iterator[str]:
        for i in range(4):
            yield (
                f"CREATE FUNCTION {self._s}.f{i}(given varchar DEFAULT 'a', other int = 3) RETURNS bigint LANGUAGE sql"
                f" BEGIN ATOMIC SELECT count(*) FROM {self._s}.t"
                f" WHERE ({self._condition(2, 'subqueries')}) AND given IN ('a', 'b'); END"
            )
