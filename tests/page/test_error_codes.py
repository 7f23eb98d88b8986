#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
The codes of refusals that the page's scripts react to are codes that the program sends, with words in both languages.

Libraries: pytest.
"""

import re

import pytest
from program import ROOT

from modules import errors, i18n

SCRIPTS = {path.name: path.read_text('utf-8') for path in (ROOT / 'static' / 'js').glob('*.js')}
CODES = {kind.code for kind in errors.kinds()}


def codes_of(script, name):
    """The words of a list in a script."""
    listed = re.search(rf'\bconst {name} = \[(.*?)\]', SCRIPTS[script], re.S)
    return set(re.findall("'([a-z_]+)'", listed[1]))


def reactions():
    """(script, code) of every code that a script compares an error's with."""
    for script, content in SCRIPTS.items():
        for name in re.findall(r'\b([A-Z_]+)\.(?:includes|has)\(\w+\.code\)', content):
            yield from ((script, code) for code in codes_of(script, name))
        for code in re.findall(r"\.code [!=]== '(\w+)'", content):
            yield script, code


def test_the_scripts_look_at_codes_in_no_other_way():
    for script, content in SCRIPTS.items():
        known = len(re.findall(r"(?:includes|has)\(\w+\.code\)|\.code [!=]== '\w+'", content))
        assert len(re.findall(r'(?<!answer)(?<!this)\.code\b', content)) == known, script
    assert len(list(reactions())) > 5


@pytest.mark.parametrize(('script', 'code'), sorted(reactions()))
def test_every_code_the_page_reacts_to_is_sent_and_has_words(script, code):
    assert code in CODES, script
    for language in i18n.LANGUAGES:
        assert i18n.words(language)['errors'][code]


def test_another_photo_is_offered_for_every_fault_of_the_photo():
    faults = {kind.code for kind in errors.kinds() if kind.status in (413, 415)}
    assert codes_of('view.js', 'UNUSABLE') == faults
