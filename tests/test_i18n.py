#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
Words in both languages.

Libraries: pytest.
"""

import ast
import re
import string
from pathlib import Path

import pytest
from repository import parsed

from modules import errors, i18n

ROOT = Path(__file__).resolve().parent.parent


def entries(language):
    return {
        f'{section}.{key}': words
        for section, keys in i18n.words(language).items()
        for key, words in keys.items()
    }


def placeholders(words):
    return {name for _text, name, _form, _conversion in string.Formatter().parse(words) if name}


def test_both_languages_say_the_same_things():
    assert list(entries('zh')) == list(entries('en'))


def test_both_languages_use_the_same_placeholders():
    chinese, english = entries('zh'), entries('en')
    for key in english:
        assert placeholders(chinese[key]) == placeholders(english[key]), key


def test_chinese_is_chinese_and_english_is_english():
    for key, words in entries('en').items():
        if 'language' not in key and 'switch' not in key:
            assert not re.search('[\u4e00-\u9fff]', words), key


def refusals(kind = errors.Refusal):
    yield kind
    for child in kind.__subclasses__():
        yield from refusals(child)


@pytest.mark.parametrize('refusal', list(refusals()), ids = lambda kind: kind.code)
def test_every_refusal_has_words(refusal):
    assert f'errors.{refusal.code}' in entries('en')


def test_every_text_in_the_code_has_words():
    known = entries('en')
    for path in [ROOT / '__main__.py', *(ROOT / 'modules').rglob('*.py')]:
        for node in parsed(path):
            is_text = isinstance(node, ast.Call) and getattr(
                node.func, 'id', getattr(node.func, 'attr', '')) in ('text', 'Text')
            if is_text and node.args and isinstance(node.args[0], ast.Constant):
                assert node.args[0].value in known, (path.name, node.args[0].value)


def test_texts_may_hold_texts():
    inner = i18n.text('configuration.line', line = 3)
    outer = i18n.text('configuration.problem', where = inner, problem = 'x')
    assert outer.in_('en') == 'line 3: x'
    assert outer.in_('zh') == '第 3 行：x'


@pytest.mark.parametrize(('variables', 'expected'), [({
    'LANG': 'zh_CN.UTF-8'
}, 'zh'), ({
    'LANG': 'en_US.UTF-8'
}, 'en'), ({
    'LANG': 'zh_CN.UTF-8',
    'LC_ALL': 'C'
}, 'en'), ({
    'LANG': 'de_DE.UTF-8',
    'LC_MESSAGES': 'zh_TW'
}, 'zh')])
def test_the_terminal_speaks_the_systems_language(monkeypatch, variables, expected):
    for name in ('LC_ALL', 'LC_MESSAGES', 'LANG'):
        monkeypatch.delenv(name, raising = False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert i18n.of_this_machine() == expected
