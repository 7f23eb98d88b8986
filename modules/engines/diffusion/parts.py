#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
A clip longer than a model makes in one go: parts, each of which goes on from the last frame of the one before.

Libraries: numpy.
"""

from collections.abc import Callable
from dataclasses import replace

import numpy

from modules.engines.diffusion.decoding import ClipControl
from modules.engines.diffusion.joining import Joint, explain_drift
from modules.i18n import text
from modules.progress import OnProgress, Progress

#: number of the part, the last frame of the one before (None for the first), its control → the part's frames as the
#: control finished them
MakePart = Callable[[int, numpy.ndarray | None, ClipControl], numpy.ndarray]


def make_parts(make: MakePart, count: int, steps: int, control: ClipControl) -> numpy.ndarray:
    """
    Make a clip, part after part, with a note of what changes from the first to the last.

    :param make: makes a part
    :type make: MakePart
    :param count: of parts
    :type count: int
    :param steps: of each part
    :type steps: int
    :param control: takes the progress of the whole clip
    :type control: ClipControl
    :return: uint8 [T, H, W, 3]; of every part but the first without its first frame, with which the one before ends
    :rtype: numpy.ndarray
    """
    made: list[numpy.ndarray] = []
    before: numpy.ndarray | None = None
    for number in range(count):
        joint = Joint(before, control.finish)
        report = report_part(control.report, number, count, steps)
        if number:
            report(Progress('encoding', note = text('engines.continued', parts = count)))
        frames = make(number, before, replace(control, report = report, finish = joint.take))
        before = joint.last
        made.append(frames[min(number, 1):])
    if count > 1 and (note := explain_drift(made[0], made[-1])):
        control.report(Progress('decoding', 1, 1, note = note))
    return numpy.concatenate(made)


def report_part(report: OnProgress, number: int, count: int, steps: int) -> OnProgress:
    """
    Report the progress of a part as that of the whole clip, in which what lies between parts is no phase of its own.

    :param report: takes the progress of the whole clip
    :type report: OnProgress
    :param number: of the part
    :type number: int
    :param count: of parts
    :type count: int
    :param steps: of each part
    :type steps: int
    :return: takes the progress of the part
    :rtype: OnProgress
    """

    def report_of_whole(progress: Progress) -> None:
        done = number * steps
        if progress.phase == 'step':
            progress = replace(progress, step = done + progress.step, steps = count * steps)
        elif progress.phase == 'encoding' and number:
            progress = replace(progress, phase = 'step', step = done, steps = count * steps)
        elif progress.phase == 'decoding' and number < count - 1:
            progress = replace(progress, phase = 'step', step = done + steps, steps = count * steps)
        report(progress)

    return report_of_whole
