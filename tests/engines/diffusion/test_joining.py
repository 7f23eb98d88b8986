#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
Parts of a clip that meet without a jump, and what is said of what still changes. A model that makes what it is given
brighter, paler and redder stands in for one that drifts.

Libraries: numpy, pytest.
"""

import numpy
import pytest

from modules.clips.notes import join_notes
from modules.engines.diffusion.decoding import ClipControl
from modules.engines.diffusion.joining import LEAST_GAIN, Joint, compare_colours
from modules.engines.diffusion.parts import make_parts
from modules.i18n import text

FRAMES = 6


def picture(mean = 120, spread = 30):
    """Smooth at random, so that what moves stays much alike."""
    rough = numpy.random.default_rng(3).normal(0, 1, (12, 16, 3))
    fine = numpy.kron(rough, numpy.ones((4, 4, 1)))
    return (mean + spread * fine).clip(0, 255).astype(numpy.uint8)


class Model:
    """
    Makes a part: what it is given, which slides on, and is not quite given back.

    :param shift: what is added to each channel at once
    :param gain: how much of the contrast stays
    :param slope: what is added with every further frame
    """

    def __init__(self, shift = (0, 0, 0), gain = 1.0, slope = (0, 0, 0)):
        self.shift, self.gain, self.slope = map(numpy.array, (shift, gain, slope))
        self.made = []

    def make(self, number, before, control):
        first = (picture() if before is None else before).astype(float)
        if number:
            first = (first - first.mean((0, 1))) * self.gain + first.mean((0, 1)) + self.shift
        frames = numpy.stack(
            [numpy.roll(first, 2 * time, 1) + self.slope * time for time in range(FRAMES)])
        self.made.append(frames.clip(0, 255).round().astype(numpy.uint8))
        # in two chunks, as some are decoded
        return numpy.concatenate(
            [control.finish(self.made[-1][:2]),
             control.finish(self.made[-1][2:])])


def make(model, count = 3):
    seen = []
    frames = make_parts(model.make, count, 4, ClipControl(seen.append))
    assert len(frames) == count * FRAMES - count + 1
    return frames, [each.note for each in seen if each.note]


def statistics(frame):
    return numpy.concatenate([frame.mean((0, 1)), frame.std((0, 1))])


@pytest.mark.parametrize(('shift', 'gain'), [((9, 9, 9), 1.0), ((-12, 0, 8), 1.0),
                                             ((0, 0, 0), 0.85), ((6, -4, 3), 1.15)])
def test_brightness_colours_and_contrast_do_not_jump_where_parts_meet(shift, gain):
    model = Model(shift, gain)
    frames, notes = make(model)
    for joint in (FRAMES - 1, 2 * FRAMES - 2):
        jump = statistics(frames[joint + 1]) - statistics(frames[joint])
        assert numpy.abs(jump).max() < 0.5
    # what the model made did jump
    raw = statistics(model.made[1][1]) - statistics(model.made[0][-1])
    assert numpy.abs(raw).max() > 3
    assert [note.key for note in notes] == ['engines.continued'] * 2


def test_each_part_is_given_what_is_seen_of_the_one_before():
    seen, model = [], Model((9, 9, 9))

    def watch(number, before, control):
        seen.append(before)
        return model.make(number, before, control)

    frames = make_parts(watch, 3, 4, ClipControl())
    assert seen[0] is None
    assert numpy.array_equal(seen[1], frames[FRAMES - 1])
    assert numpy.array_equal(seen[2], frames[2 * FRAMES - 2])


@pytest.mark.parametrize(('slope', 'brightness', 'colours'), [((3, 3, 3), '+12.4', '0.0'),
                                                              ((-2, -2, -2), '-8.2', '0.0'),
                                                              ((3, 0, 0), '+4.1', '8.2')])
def test_what_changes_from_the_first_part_to_the_last_is_measured_and_said(
        slope, brightness, colours):
    """By hand: 10.5 slopes from the middle of the first part to that of the last, and 2.55 are a percent."""
    frames, notes = make(Model(slope = slope))
    assert [note.key for note in notes] == ['engines.continued'] * 2 + ['engines.drifted']
    assert notes[-1].values == {'brightness': brightness, 'colours': colours}
    for language in ('en', 'zh'):
        words = join_notes(text('notes.unused', engine = 'a', fields = 'b'), *notes).in_(language)
        assert f'{brightness} %' in words or f'{brightness}%' in words
        # all of them, each once
        assert words.count(notes[0].in_(language)) == 1 and notes[-1].in_(language) in words


def test_of_one_part_and_of_parts_that_stay_alike_nothing_is_said():
    assert make(Model(slope = (9, 9, 9)), count = 1)[1] == []
    assert [note.key for note in make(Model(slope = (0.5, 0.5, 0.5)), count = 2)[1]
            ] == ['engines.continued']


def test_a_picture_without_contrast_is_not_blown_up():
    flat = numpy.full((8, 8, 3), 90, numpy.uint8)
    gain, offset = compare_colours(picture(), flat)
    assert gain == pytest.approx([LEAST_GAIN] * 3)
    assert (gain * picture().mean((0, 1)) + offset) == pytest.approx([90] * 3)
    joint = Joint(flat, lambda frames: frames)
    assert numpy.array_equal(joint.take(flat[None]), flat[None])
