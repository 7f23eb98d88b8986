#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
The variables with which Python and pip work in an environment of the program's own: with the person's mirrors, proxies
and certificates, and without what sends files elsewhere.

Libraries: none but the standard one, because nothing is installed yet.
"""

import ast
import os
import re
import subprocess
from pathlib import Path

#: variables that make a Python take its libraries from elsewhere, or itself for another one
PYTHON_VARIABLES = ('PYTHONHOME', 'PYTHONPATH', 'PYTHONPLATLIBDIR', 'PYTHONEXECUTABLE',
                    '__PYVENV_LAUNCHER__')

#: settings of pip with which files do not arrive in its own environment
ELSEWHERE = ('target', 'prefix', 'root', 'user', 'home', 'python', 'dry-run', 'ignore-installed',
             'no-deps', 'no-dependencies', 'platform', 'python-version', 'implementation', 'abi')

#: sections of pip's configuration files that hold for ``pip install``, the weaker one first
SECTIONS = ('global', 'install')


def python_variables() -> dict[str, str]:
    """
    Return the variables of this process for a Python that has all its libraries in its environment.

    :return: name → value
    :rtype: dict[str, str]
    """
    return {name: value for name, value in os.environ.items() if name not in PYTHON_VARIABLES}


def pip_variables(python: Path) -> dict[str, str]:
    """
    Return the variables for its pip. A file's setting can only be undone by reading no file at all: where one sends
    files elsewhere, all the other settings become variables.

    :param python: whose pip
    :type python: Path
    :return: name → value
    :rtype: dict[str, str]
    """
    variables = {
        name: value
        for name, value in python_variables().items() if _setting(name) not in ELSEWHERE
    }
    settings = _read_files(python, variables)
    if settings.keys() & set(ELSEWHERE):
        # pip refuses variables of these two names
        kept = settings.keys() - {*ELSEWHERE, 'version', 'help'}
        handed = {'PIP_' + name.upper().replace('-', '_'): settings[name] for name in kept}
        given = {_setting(name) for name in variables}
        variables |= {name: value for name, value in handed.items() if _setting(name) not in given}
        variables['PIP_CONFIG_FILE'] = os.devnull
    return variables


def _setting(variable: str) -> str:
    """Return the name of pip's setting for a variable; empty for variables that are not pip's."""
    name = variable.upper()
    return name[4:].lower().replace('_', '-') if name.startswith('PIP_') else ''


def _read_files(python: Path, variables: dict[str, str]) -> dict[str, str]:
    """Return the settings of ``pip install`` in pip's files; nothing where pip itself cannot read them."""
    listed = subprocess.run([str(python), '-m', 'pip', 'config', 'list'],
                            stdin = subprocess.DEVNULL,
                            capture_output = True,
                            encoding = 'utf-8',
                            errors = 'replace',
                            env = {
                                **variables, 'PYTHONIOENCODING': 'utf-8'
                            },
                            check = False).stdout
    found: dict[str, str] = {}
    for section in SECTIONS:
        for name, value in re.findall(rf"^{section}\.([\w-]+)=(['\"].*['\"])$", listed, re.M):
            found[name.lower().replace('_', '-')] = ast.literal_eval(value)
    return found
