#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
Whether the virtual environment has what was installed into it: looked for after every installation, before that is
noted, and at every start, which mends what is broken.

Libraries: none but the standard one, because nothing may be installed.
"""

import dataclasses
from collections.abc import Callable
from pathlib import Path

from modules.configuration import ROOT, InstallationOptions
from modules.i18n import Text, text
from modules.install import dependencies, environment, inventory, pip_settings
from modules.install.environment import Failure, Note, interpreter


def check(home: Path, oldest: tuple[int, int], say: Callable[[Text], None]) -> Note:
    """
    Find or make the virtual environment, and see that all is there that was installed into it.

    :param home: the environment's folder
    :type home: Path
    :param oldest: major and minor version its Python must have at least
    :type oldest: tuple[int, int]
    :param say: called with a :class:`Text` before anything that takes a while
    :type say: Callable[[Text], None]
    :return: what is installed; where a library is missing, nothing is
    :rtype: Note
    :raises Failure: when there can be no environment
    """
    note = environment.ready(home, oldest, say)
    found = inventory.take(interpreter(home))
    if found is None or 'pip' not in found.whole:
        return environment.make_again(home, oldest, say)
    missing = (set(note.libraries) or _demanded(note)) - found.whole.keys()
    if not missing:
        return note
    say(text('launch.mending', names = ', '.join(sorted(missing)), home = home))
    # what pip believes to be there it does not install
    remains = sorted(missing & set(found.broken))
    if remains and _uninstall(interpreter(home), remains):
        return environment.make_again(home, oldest, say)
    return dataclasses.replace(note, installed = dict.fromkeys(note.installed, ''))


def remember(home: Path, note: Note, requirements: Path, options: InstallationOptions) -> Note:
    """
    Leave a note of what was just installed, once it was found.

    :param home: the environment's folder
    :type home: Path
    :param note: what was known before
    :type note: Note
    :param requirements: the file that was installed
    :type requirements: Path
    :param options: the indexes it was installed from
    :type options: InstallationOptions
    :return: the note
    :rtype: Note
    :raises Failure: when libraries are not there, whatever pip said
    """
    libraries = require(interpreter(home), requirements)
    done = dependencies.fingerprints(requirements, options)
    note = dataclasses.replace(
        note, installed = {
            **note.installed,
            **done
        }, libraries = sorted(libraries))
    if isinstance(options, dependencies.SettledOptions):
        note = dataclasses.replace(note, torch_index = options.chosen_index)
    environment.write_note(home, note)
    return note


def require(python: Path, requirements: Path) -> dict[str, str]:
    """
    See that libraries are there.

    :param python: where
    :type python: Path
    :param requirements: the file that was installed
    :type requirements: Path
    :return: all that are there, with their versions
    :rtype: dict[str, str]
    :raises Failure: when one is not, whatever pip said
    """
    found = inventory.take(python)
    libraries = found.whole if found else {}
    if missing := dependencies.demanded(requirements) - libraries.keys():
        raise Failure(text('launch.not_found', names = ', '.join(sorted(missing)), python = python))
    return libraries


def _demanded(note: Note) -> set[str]:
    """What a note of an earlier version, which names no libraries, believes to be installed."""
    files = [ROOT / name for name in note.installed if (ROOT / name).is_file()]
    return set().union(*map(dependencies.demanded, files))


def _uninstall(python: Path, names: list[str]) -> int:
    command = [str(python), '-m', 'pip', 'uninstall', '--yes', *names]
    return environment.run(command, pip_settings.pip_variables(python))
