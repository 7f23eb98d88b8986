#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
The logging set-up.

Libraries: pytest.
"""

import logging

import pytest

from modules import logs


@pytest.fixture(autouse = True)
def put_back():
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    logging.captureWarnings(False)
    root.handlers[:], root.level = handlers, level


def test_replaces_what_an_earlier_import_set_up(capsys):
    logging.basicConfig(level = 'ERROR')
    logs.start('Debug')
    logging.getLogger('a').debug('hello')
    assert 'DEBUG   hello' in capsys.readouterr().err


def test_one_record_is_one_line(capsys):
    logs.start('info')
    logging.getLogger('a').info('name %s', 'x\n12:00:00 ERROR forged\x1b[31m')
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert '\x1b' not in lines[0]


def test_chinese_stays_readable(capsys):
    logs.start('info')
    logging.getLogger('a').info('照片')
    assert '照片' in capsys.readouterr().err


def test_tracebacks_are_kept(capsys):
    logs.start('info')
    try:
        raise ValueError('why')
    except ValueError:
        logging.getLogger('a').exception('failed')
    assert 'Traceback' in capsys.readouterr().err


def test_an_unknown_level_is_an_error():
    with pytest.raises(ValueError, match = 'loud'):
        logs.start('loud')
