#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
Checks that the virtual environment holds what was installed into it: after every installation, before that is noted,
and at every start, which repairs what is broken.

Libraries: none but the standard one, because nothing may be installed.
"""

import dataclasses
from collections.abc import Callable
from pathlib import Path

from modules.configuration import ROOT, InstallationOptions
from modules.i18n import Text, text
from modules.install import dependencies, environment, inventory, pip_settings
from modules.install.environment import Failure, Note, find_interpreter


def repair(home: Path, oldest: tuple[int, int], say: Callable[[Text], None]) -> Note:
    """
    Find or make the virtual environment, and remove what is broken in it.

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
    note = environment.prepare(home, oldest, say)
    found = inventory.take(find_interpreter(home))
    if found is None or 'pip' not in found.whole:
        return environment.remake(home, oldest, say)
    missing = (set(note.libraries) or _find_required(note)) - found.whole.keys()
    if not missing:
        return note
    say(text('launch.mending', names = ', '.join(sorted(missing)), home = home))
    # pip does not install what it believes to be there
    remains = sorted(missing & set(found.broken))
    if remains and _uninstall(find_interpreter(home), remains):
        return environment.remake(home, oldest, say)
    return dataclasses.replace(note, installed = dict.fromkeys(note.installed, ''))


def remember(home: Path, note: Note, requirements: Path, options: InstallationOptions) -> Note:
    """
    Write a note of what was just installed, once it was found.

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
    libraries = require_libraries(find_interpreter(home), requirements)
    done = dependencies.compute_fingerprints(requirements, options)
    note = dataclasses.replace(
        note, installed = {
            **note.installed,
            **done
        }, libraries = sorted(libraries))
    if isinstance(options, dependencies.ChosenIndexes):
        note = dataclasses.replace(note, torch_index = options.chosen_index)
    environment.write_note(home, note)
    return note


def require_libraries(python: Path, requirements: Path) -> dict[str, str]:
    """
    Check that libraries are there.

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
    if missing := dependencies.find_required(requirements) - libraries.keys():
        raise Failure(text('launch.not_found', names = ', '.join(sorted(missing)), python = python))
    return libraries


def _find_required(note: Note) -> set[str]:
    """Return the libraries that a note of an earlier version, which names none, stands for."""
    files = [ROOT / name for name in note.installed if (ROOT / name).is_file()]
    return set().union(*map(dependencies.find_required, files))


def _uninstall(python: Path, names: list[str]) -> int:
    command = [str(python), '-m', 'pip', 'uninstall', '--yes', *names]
    return environment.run(command, pip_settings.pip_variables(python))
