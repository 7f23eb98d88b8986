#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
What the documents repeat of the code is what the code says.

Libraries: pytest.
"""

import json
from pathlib import Path

import pytest

from docs import tables
from modules import configuration, i18n
from modules.request.parameters import PARAMETERS

ROOT = Path(__file__).resolve().parent.parent


@pytest.mark.parametrize('name', tables.FILES)
def test_files_are_as_python_docs_tables_py_writes_them(name):
    assert (ROOT / name).read_text(encoding = 'utf-8') == tables.render(name)


@pytest.mark.parametrize('name', tables.READMES)
def test_every_table_stands_in_each_readme(name):
    found = tables.TABLE.findall((ROOT / name).read_text(encoding = 'utf-8'))
    assert sorted(kind for _mark, kind in found) == sorted(tables.TABLES)


def test_words_are_there_for_every_option_and_field_and_for_no_other():
    for language in i18n.LANGUAGES:
        words = i18n.words(language)
        # two sections may have a key of one meaning
        keys = dict.fromkeys(k for t in configuration.OPTIONS.values() for k in t)
        assert list(words['options']) == list(keys)
        assert set(words['fields']) == {'file', *(parameter.name for parameter in PARAMETERS)}


def test_the_notebook_asks_for_every_field():
    cells = json.loads((ROOT / tables.NOTEBOOK).read_text(encoding = 'utf-8'))['cells']
    source = ''.join(next(cell['source'] for cell in cells if cell['id'] == 'clip'))
    for parameter in PARAMETERS:
        assert f'    {parameter.name} = {parameter.name}' in source
