# SPDX-License-Identifier: GPL-3.0-or-later
"""Names of libraries and of dictionaries' files, as settings and options spell them."""

from __future__ import annotations

import pytest

from fanout.sources.postgresql.needs import dictionary_files, library_name


@pytest.mark.parametrize(
    "word", ["vchord", "vchord.so", " 'vchord.so'".replace("'", '"'), "$libdir/vchord", "/usr/lib/x/VChord.so"]
)
def test_a_library_has_one_name_however_it_is_spelt(word: str) -> None:
    assert library_name(word) == "vchord"


@pytest.mark.parametrize(
    ("template", "options", "files"),
    [
        ("snowball", "language = 'english', stopwords = 'own'", ["own.stop"]),
        ("ispell", "dictfile = 'de', afffile = 'de', stopwords = 'german'", ["de.dict", "de.affix", "german.stop"]),
        ("thesaurus", "dictfile = 'places', dictionary = 'english_stem'", ["places.ths"]),
        ("synonym", "\"Synonyms\" = 'own', casesensitive = 'true'", ["own.syn"]),
        ("unaccent", "rules = 'own'", ["own.rules"]),
        ("simple", "accept = 'false'", []),
    ],
)
def test_a_dictionary_names_its_files_by_its_template(template: str, options: str, files: list[str]) -> None:
    assert list(dictionary_files(template, options)) == [f"tsearch_data/{file}" for file in files]
