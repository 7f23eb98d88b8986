#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
What NVIDIA's driver tells of itself and of its cards.

Libraries: none but the standard one, because nothing is installed yet.
"""

import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

#: what the driver's tool is asked; one of CUDA 11 or older does not know the first
_ALL, _LESS = 'compute_cap,driver_version,name', 'driver_version,name'

#: a line of the answer; of the name nothing hangs
_LINE = r'(?:(?P<major>\d+)\.(?P<minor>\d+), *)?(?P<driver>\d+\.[\d.]+)(?:, *(?P<name>.+))?'

#: seconds after which the driver's tool is left alone
PATIENCE = 20


@dataclass(frozen = True)
class Card:
    """A GPU."""

    #: as ``NVIDIA GeForce GTX 1080``; may be empty
    name: str = ''
    #: its compute capability, as (6, 1); None where the driver does not tell
    capability: tuple[int, int] | None = None

    def __str__(self):
        name = self.name or 'NVIDIA'
        return name + (' ({}.{})'.format(*self.capability) if self.capability else '')


@dataclass(frozen = True)
class Driver:
    """The driver and its cards, one at least."""

    #: as ``550.54.14``; empty where it does not tell
    version: str
    cards: tuple[Card, ...]

    @property
    def major(self) -> int:
        """The first number of its version; 0 where it does not tell."""
        return int(self.version.partition('.')[0] or 0)

    @property
    def names(self) -> str:
        """The cards, each kind once."""
        return ', '.join(dict.fromkeys(map(str, self.cards)))


def ask_driver(patience: float = PATIENCE, root: Path = Path('/')) -> Driver | None:
    """
    Ask the driver's tool, and where that does not answer, what Linux' kernel tells, which does not know what the cards
    can compute.

    :param patience: seconds to wait for each answer
    :type patience: float
    :param root: where the system's folders begin
    :type root: Path
    :return: what is known; None where nobody answers, which may be so for a moment only
    :rtype: Driver | None
    """
    for question in (_ALL, _LESS):
        answer = _run_tool(patience, f'--query-gpu={question}', '--format=csv,noheader')
        found = [re.fullmatch(_LINE, line.strip()) for line in answer.splitlines()]
        if lines := list(filter(None, found)):
            return Driver(lines[0]['driver'], tuple(map(_read_card, lines)))
        if not answer:
            return _ask_kernel(root)
    if 'GPU 0' in _run_tool(patience, '-L'):
        return Driver('', (Card(), ))
    return _ask_kernel(root)


def _read_card(line: re.Match) -> Card:
    capability = (int(line['major']), int(line['minor'])) if line['major'] else None
    return Card((line['name'] or '').strip(), capability)


def _ask_kernel(root: Path) -> Driver | None:
    """Ask where the tool does not answer: a container may lack it, and a driver that was just renewed ignores it."""
    folder = root / 'proc/driver/nvidia'
    cards = tuple(Card() for _ in folder.glob('gpus/*'))
    if not cards:
        return None
    try:
        version_text = (folder / 'version').read_text(encoding = 'utf-8', errors = 'replace')
    except OSError:
        version_text = ''
    version = re.search(r'Kernel Module\D*?(?:x86_64|aarch64)?\s+(\d+\.[\d.]+)', version_text)
    return Driver(version[1] if version else '', cards)


def _run_tool(patience: float, *question: str) -> str:
    """Get what the tool answers; nothing where it is not there or fails."""
    tool = shutil.which('nvidia-smi')
    try:
        return subprocess.run([tool, *question],
                              capture_output = True,
                              encoding = 'utf-8',
                              errors = 'replace',
                              timeout = patience,
                              check = False).stdout if tool else ''
    except (OSError, subprocess.TimeoutExpired):
        return ''
