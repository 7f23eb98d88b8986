#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
How far a job is, and whether it is still wanted.

Libraries: none; numpy for types alone.
"""

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from modules.i18n import Text

if TYPE_CHECKING:
    import numpy


@dataclass(frozen = True)
class Progress:
    """How far a job is."""

    #: ``loading``, ``encoding``, ``step``, ``decoding`` or ``writing``
    phase: str
    #: finished steps of this phase
    step: int = 0
    #: all steps of this phase; 0 where unknown
    steps: int = 0
    #: a picture of the clip as it stands, uint8 [H, W, 3], of any size; it may be a view of the clip's own frames,
    #: so whoever keeps it makes a copy
    picture: 'numpy.ndarray | None' = dataclasses.field(
        default = None, compare = False, repr = False)
    #: what had to be given up; reported once
    note: Text | None = None


OnProgress = Callable[[Progress], None]
#: raises :class:`modules.errors.Cancelled` when the job is no longer wanted; cheap, to be called often
StopIfCancelled = Callable[[], None]


def do_nothing(*_arguments: object) -> None:
    """
    Stand for a callback where nobody wants to be called.

    :param _arguments: whatever the callback is given
    :type _arguments: object
    """


@dataclass(frozen = True)
class JobControl:
    """What links work on a clip with whoever wants it; without arguments, nobody follows the work or ends it."""

    #: called after every step
    report: OnProgress = do_nothing
    #: called between steps
    stop_if_cancelled: StopIfCancelled = do_nothing
