#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
The files of the repository. Not a test itself.

Libraries: none but the standard one.
"""

import ast
import functools
import shutil
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def tracked(pattern = '*'):
    """Files of the repository, the ones not yet committed too; of an unpacked archive, all there are."""
    listed = None
    if shutil.which('git'):
        listed = subprocess.run(['git', 'ls-files', '-co', '--exclude-standard', '--', pattern],
                                cwd = ROOT,
                                capture_output = True,
                                text = True,
                                check = False)
    if listed and listed.returncode == 0:
        return [
            ROOT / name for name in listed.stdout.split('\n') if name and (ROOT / name).is_file()
        ]
    made = {
        '.venv', '.git', 'outputs', 'models', '__pycache__', '.pytest_cache', '.ruff_cache',
        '.hypothesis', '.mypy_cache'
    }
    return [path for path in ROOT.rglob(pattern) if path.is_file() and not made & set(path.parts)]


@functools.cache
def parsed(path):
    """Every node of a file of Python, the module first."""
    return list(ast.walk(ast.parse(path.read_text(encoding = 'utf-8'))))
