#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
Whether something is really old, though clocks go wrong: it goes when it was seen to be nearly old a while ago, and
that while is counted so that a clock that jumps adds little to it.

Libraries: none.
"""

import json
import logging
import time
from collections.abc import Callable, Collection
from pathlib import Path

logger = logging.getLogger(__name__)

#: seconds that a restart may add, and one count after another, beside those that a clock without jumps counts:
#: while a computer sleeps, that one often stands still
MOST_OF_A_RESTART, MOST_OF_A_JUMP = 12 * 3600, 3600


class Aging:
    """
    Remember since when things are nearly old.

    :param path: where it is kept over restarts
    :type path: Path
    :param hold: seconds for which something must have been nearly old
    :type hold: float
    :param clock: the clock on the wall, in seconds
    :type clock: Callable[[], float]
    :param steady: a clock without jumps, in seconds
    :type steady: Callable[[], float]
    """

    def __init__(self,
                 path: Path,
                 hold: float,
                 clock: Callable[[], float] = time.time,
                 steady: Callable[[], float] = time.monotonic):
        self.hold = hold
        self._path = path
        self._clock = clock
        self._steady = steady
        self._steady_before: float | None = None
        # the wall's clock at the last count, seconds counted so far, and what they were when each thing was first seen
        self._before, self._counted, self._since = self._read()

    def find_old_enough(self, near: Collection[str]) -> set[str]:
        """
        Find what has been nearly old for long enough.

        :param near: names of all that is nearly old now
        :type near: Collection[str]
        :return: those that may go if they are old
        :rtype: set[str]
        """
        self._count()
        had_some = bool(self._since)
        self._since = {name: self._since.get(name, self._counted) for name in near}
        if self._since or had_some:
            self._write()
        return {name for name, since in self._since.items() if self._counted - since >= self.hold}

    def _count(self) -> None:
        now, steady = self._clock(), self._steady()
        most: float = MOST_OF_A_RESTART
        if self._steady_before is not None:
            most = steady - self._steady_before + MOST_OF_A_JUMP
        if self._before is not None:
            self._counted += max(0.0, min(now - self._before, most))
        self._before, self._steady_before = now, steady

    def _read(self) -> tuple[float | None, float, dict[str, float]]:
        try:
            kept = json.loads(self._path.read_text(encoding = 'utf-8'))
            since = {str(name): float(value) for name, value in kept['since'].items()}
            return float(kept['before']), float(kept['counted']), since
        except FileNotFoundError:
            pass
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            logger.warning('%s is not understood, so ages are counted from now on: %s', self._path,
                           error)
        return None, 0.0, {}

    def _write(self) -> None:
        kept = {'before': self._before, 'counted': self._counted, 'since': self._since}
        new = self._path.with_suffix('.new')
        try:
            new.write_text(json.dumps(kept), encoding = 'utf-8')
            new.replace(self._path)
        except OSError as error:
            # then it is counted from the next start
            logger.debug('%s cannot be written: %s', self._path, error)
