#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
The checks of ``START test``: the tests, and the tools that read the code.

Libraries: none but the standard one; each check is a program of its own.
"""

import contextlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO

from modules.configuration import ROOT
from modules.i18n import Text, text
from modules.install import environment

#: what is checked
SOURCES = ('__main__.py', 'app.py', 'modules', 'tests', 'bench', 'docs')

#: what ``START test`` runs: a name, and what stands after ``python``. None of them is called by its script, because a
#: script holds the path of its environment and breaks when the folder is moved.
TESTS = ('pytest', ('-m', 'pytest', '-n', 'auto', '--dist', 'loadfile', '--no-loadscope-reorder'))
#: what reads the code while the tests run
READERS = (
    ('ruff', ('-m', 'ruff', 'check', *SOURCES)),
    # half of its time went into looking through all that it keeps for what is in use no more
    ('yapf', ('-c', 'import gc, yapf; gc.disable(); yapf.run_main()', '--diff', '--recursive',
              *SOURCES)),
    ('pydoclint', ('-m', 'pydoclint.main', *SOURCES)),
    ('mypy', ('-m', 'mypy', *(source for source in SOURCES if source != 'tests'))),
    ('vermin', ('-c', 'import vermin; vermin.main()', '--target=3.10-', '--no-tips', '--violations',
                *SOURCES)),
)


def run_checks(python: Path, more: Sequence[str], variables: Mapping[str, str],
               say: Callable[[Text], None]) -> int:
    """
    Run every check, also after one has failed. The output of the tests is shown as it comes, then that of others that
    failed.

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
    name, command = TESTS
    with contextlib.ExitStack() as stack:
        readers = {
            reader: stack.enter_context(_start(_full(python, arguments), variables))
            for reader, arguments in READERS
        }
        say(text('launch.check', name = name))
        results = {name: environment.run([*_full(python, command), *more], variables)}
        for reader, (process, output) in readers.items():
            results[reader] = process.wait()
            if results[reader]:
                say(text('launch.check', name = reader))
                output.seek(0)
                sys.stdout.write(output.read())
                sys.stdout.flush()
    for name, status in results.items():
        key = 'launch.check_failed' if status else 'launch.check_passed'
        say(text(key, name = name, status = status))
    return int(any(results.values()))


def _full(python: Path, arguments: Sequence[str]) -> list[str]:
    present = [word for word in arguments if word not in SOURCES or (ROOT / word).exists()]
    return [str(python), *present]


@contextlib.contextmanager
def _start(command: Sequence[str],
           variables: Mapping[str, str]) -> Iterator[tuple[subprocess.Popen, IO[str]]]:
    with tempfile.TemporaryFile(
            'w+', errors = 'replace') as output, subprocess.Popen(
                command,
                env = variables,
                stdin = subprocess.DEVNULL,
                stdout = output,
                stderr = subprocess.STDOUT) as process:
        try:
            yield process, output
        finally:
            process.terminate()
