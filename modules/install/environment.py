#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
The virtual environment: made, repaired, or left as it is. A note inside says what was installed last, so that an
unchanged start runs no pip and needs no network.

Libraries: none but the standard one, because nothing is installed yet.
"""

import contextlib
import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from modules.i18n import Text, text
from modules.install import pip_settings

#: the note inside the virtual environment
NOTE = 'turn-live-photos.json'

#: seconds a command has to end by itself after Ctrl-C
GRACE = 10

WINDOWS = os.name == 'nt'

#: letters of a path that Windows takes unless told otherwise, and those that PyTorch's deepest file needs in an
#: environment
LONGEST_PATH, DEEPEST_FILE = 259, 191


class Failure(Exception):
    """
    The launcher cannot go on.

    :param words: what happened and what helps
    :type words: Text
    :param status: the exit code
    :type status: int
    """

    def __init__(self, words: Text, status: int = 1):
        super().__init__(words.key)
        self.words = words
        self.status = status


@dataclass(frozen = True)
class Note:
    """What is known of a virtual environment since the last start."""

    #: its Python, as ``3.11``
    python: str = ''
    #: requirements file → fingerprint of what was installed by it
    installed: dict = field(default_factory = dict)
    #: the index that was chosen for PyTorch; empty for pip's own, and where somebody has set one
    torch_index: str = ''
    #: the libraries that were found there
    libraries: list = field(default_factory = list)


def run(command: list[str], variables: Mapping[str, str] | None = None) -> int:
    """
    Run a command that prints to the terminal, and end it when this program is stopped.

    :param command: program and arguments
    :type command: list[str]
    :param variables: its environment; None for that of this process
    :type variables: Mapping[str, str] | None
    :return: its exit code
    :rtype: int
    """
    with subprocess.Popen(command, env = variables) as process:
        try:
            return process.wait()
        except KeyboardInterrupt:
            # the terminal has interrupted the command too, which may print something before it ends
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(GRACE)
            raise
        finally:
            if process.poll() is None:
                process.terminate()


def find_interpreter(home: Path) -> Path:
    """
    Return the path of a virtual environment's Python.

    :param home: the environment's folder
    :type home: Path
    :return: the Python, there or not
    :rtype: Path
    """
    return home / 'Scripts' / 'python.exe' if WINDOWS else home / 'bin' / 'python'


def is_too_deep(home: Path) -> bool:
    """
    Check whether the paths of libraries would be too long for this system.

    :param home: the environment's folder
    :type home: Path
    :return: True on Windows alone, where the folder is deep and long paths are not allowed
    :rtype: bool
    """
    return WINDOWS and is_long(home) and not _allows_long_paths()


def is_long(home: Path | str) -> bool:
    r"""
    Check whether a folder's path leaves too few letters for the files of libraries.

    :param home: the folder, as ``C:\turn-live-photos\.venv``
    :type home: Path | str
    :return: whether it does
    :rtype: bool
    """
    return len(str(home)) + 1 + DEEPEST_FILE > LONGEST_PATH


def read_note(home: Path) -> Note | None:
    """
    Read the note of the last start.

    :param home: the environment's folder
    :type home: Path
    :return: the note; None where there is none or it is damaged
    :rtype: Note | None
    """
    try:
        return Note(**json.loads((home / NOTE).read_text(encoding = 'utf-8')))
    except (OSError, ValueError, TypeError):
        return None


def write_note(home: Path, note: Note) -> None:
    """
    Write the note for the next start.

    :param home: the environment's folder
    :type home: Path
    :param note: what to remember
    :type note: Note
    """
    unfinished = home / f'{NOTE}.{os.getpid()}'
    unfinished.write_text(json.dumps(vars(note), indent = 2), encoding = 'utf-8')
    unfinished.replace(home / NOTE)


def prepare(home: Path, oldest: tuple[int, int], say: Callable[[Text], None]) -> Note:
    """
    Make the virtual environment where there is none that can be used. A folder that was moved still works, because
    nothing here calls an environment's scripts but its Python.

    :param home: the environment's folder
    :type home: Path
    :param oldest: major and minor version its Python must have at least
    :type oldest: tuple[int, int]
    :param say: called with a :class:`Text` before anything that takes a while
    :type say: Callable[[Text], None]
    :return: what is installed there
    :rtype: Note
    :raises Failure: when there can be none
    """
    note, version = read_note(home), read_version(find_interpreter(home), oldest)
    if version and (note.python == version if note else _has_pip(home)):
        return note or Note(version)
    return remake(home, oldest, say)


def remake(home: Path, oldest: tuple[int, int], say: Callable[[Text], None]) -> Note:
    """
    Make the virtual environment, replacing an earlier one.

    :param home: the environment's folder
    :type home: Path
    :param oldest: major and minor version its Python must have at least
    :type oldest: tuple[int, int]
    :param say: called with a :class:`Text` before that
    :type say: Callable[[Text], None]
    :return: a note of an environment with nothing in it
    :rtype: Note
    :raises Failure: when there can be none
    """
    if home.exists():
        _require_environment(home)
    say(text('launch.venv_again' if home.exists() else 'launch.venv_new', home = home))
    _create(home)
    note = Note(read_version(find_interpreter(home), oldest))
    write_note(home, note)
    return note


def read_version(python: Path, oldest: tuple[int, int]) -> str:
    """
    Read the version of a Python, by running it.

    :param python: the interpreter
    :type python: Path
    :param oldest: major and minor version it must have at least
    :type oldest: tuple[int, int]
    :return: as ``3.11``; empty where it does not run or is too old
    :rtype: str
    """
    script = f'import sys; v = sys.version_info; print(*v[:2], sep = ".") if v >= {oldest} else exit(1)'
    try:
        done = subprocess.run([python, '-I', '-c', script],
                              capture_output = True,
                              text = True,
                              check = False)
    except OSError:
        return ''
    return done.stdout.strip() if done.returncode == 0 else ''


def _has_pip(home: Path) -> bool:
    """Check an environment that the program did not make, or did not finish."""
    command = [str(find_interpreter(home)), '-m', 'pip', '--version']
    return subprocess.run(command, capture_output = True, check = False).returncode == 0


def _require_environment(home: Path) -> None:
    """Refuse to empty anything but a virtual environment, or the remains of one."""
    if (home / 'pyvenv.cfg').is_file():
        return
    if not home.is_dir() or any(not path.is_dir() for path in home.rglob('*')):
        raise Failure(text('launch.venv_home_in_use', home = home))


def _create(home: Path) -> None:
    # Python refuses such a folder, the newer ones at least: its scripts could not be found
    if os.pathsep in str(home):
        raise Failure(text('launch.venv_separator', home = home, separator = os.pathsep))
    version = f'{sys.version_info.major}.{sys.version_info.minor}'
    if not all(importlib.util.find_spec(name) for name in ('venv', 'ensurepip')):
        raise Failure(text('launch.no_venv', version = version))
    command = [sys.executable, '-m', 'venv', '--clear', str(home)]
    status = run(command, pip_settings.python_variables())
    if status:
        raise Failure(text('launch.venv_failed', home = home), status)


def _allows_long_paths() -> bool:
    """Read the setting of Windows."""
    if sys.platform != 'win32':
        return False
    import winreg
    place = r'SYSTEM\CurrentControlSet\Control\FileSystem'
    try:
        with winreg.OpenKey(winreg.HKEY_LOCAL_MACHINE, place) as key:
            return winreg.QueryValueEx(key, 'LongPathsEnabled')[0] == 1
    except OSError:
        return False
