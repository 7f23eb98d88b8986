#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
The checks of ``START test``: the tests, and the tools that read the code.

Libraries: none but the standard one; each check is a program of its own.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from modules.configuration import ROOT
from modules.i18n import Text, text
from modules.install import environment

#: what is checked
SOURCES = ('__main__.py', 'app.py', 'modules', 'tests', 'bench', 'docs')

#: what ``START test`` runs: a name, and what stands after ``python``. None of them is called by its script, because a
#: script holds the path of its environment and breaks when the folder is moved.
CHECKS = (
    ('pytest', ('-m', 'pytest', '-n', 'auto', '--dist', 'loadfile', '--no-loadscope-reorder')),
    ('ruff', ('-m', 'ruff', 'check', *SOURCES)),
    ('yapf', ('-m', 'yapf', '--diff', '--recursive', *SOURCES)),
    ('pydoclint', ('-m', 'pydoclint.main', *SOURCES)),
    ('mypy', ('-m', 'mypy', *(source for source in SOURCES if source != 'tests'))),
    ('vermin', ('-c', 'import vermin; vermin.main()', '--target=3.10-', '--no-tips', '--violations',
                *SOURCES)),
)


def run_checks(python: Path, more: Sequence[str], variables: Mapping[str, str],
               say: Callable[[Text], None]) -> int:
    """
    Run every check, also after one has failed.

    :param python: the interpreter
    :type python: Path
    :param more: further arguments of pytest
    :type more: Sequence[str]
    :param variables: the environment of the checks
    :type variables: Mapping[str, str]
    :param say: prints to the person
    :type say: Callable[[Text], None]
    :return: 0 when all passed, else 1
    :rtype: int
    """
    os.chdir(ROOT)
    results = {}
    for name, command in CHECKS:
        say(text('launch.check', name = name))
        present = [word for word in command if word not in SOURCES or (ROOT / word).exists()]
        own = more if name == 'pytest' else ()
        results[name] = environment.run([str(python), *present, *own], variables)
    for name, status in results.items():
        key = 'launch.check_failed' if status else 'launch.check_passed'
        say(text(key, name = name, status = status))
    return int(any(results.values()))
