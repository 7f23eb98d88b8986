#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
The camera's path: every move closes its loop smoothly and goes where its name says.

Libraries: pytest.
"""

import pytest

from modules.choices import MOVES
from modules.engines.camera.path import choose_path

FRAMES = 90


@pytest.mark.parametrize('move', MOVES)
def test_rests_at_the_photo_and_comes_back_without_a_jump(move):
    for seed in range(8):
        path = choose_path(move, seed, FRAMES)
        for values in (path.ease, path.x, path.y):
            assert len(values) == FRAMES and values[0] == 0
            steps = [b - a for a, b in zip(values, values[1:] + values[:1], strict = True)]
            changes = [abs(b - a) for a, b in zip(steps, steps[1:] + steps[:1], strict = True)]
            assert max(map(abs, steps)) < 0.1 and max(changes) < 0.02


@pytest.mark.parametrize('move', MOVES)
def test_never_outgrows_its_ease(move):
    for seed in range(8):
        path = choose_path(move, seed, FRAMES)
        for ease, x, y in zip(path.ease, path.x, path.y, strict = True):
            assert 0 <= ease <= 1 and abs(x) <= ease and abs(y) <= ease


@pytest.mark.parametrize(('move', 'axis', 'sign'), [('pan-left', 'x', -1), ('pan-right', 'x', 1),
                                                    ('rise', 'y', -1), ('sink', 'y', 1)])
def test_goes_where_its_name_says(move, axis, sign):
    for seed in range(8):
        path = choose_path(move, seed, FRAMES)
        along = [sign * value for value in getattr(path, axis)]
        across = path.y if axis == 'x' else path.x
        assert min(along) == 0 and max(along) > 0.85 and max(map(abs, across)) < 0.2
        assert along.index(max(along)) > FRAMES / 2


def test_pushing_in_takes_longer_than_coming_back_and_pulling_out_the_reverse():
    for seed in range(8):
        into, out = (choose_path(move, seed, FRAMES) for move in ('push-in', 'pull-out'))
        assert min(into.push, out.push) > 1
        assert into.ease.index(max(into.ease)) > 0.55 * FRAMES
        assert out.ease.index(max(out.ease)) < 0.45 * FRAMES


def test_auto_leaves_the_move_to_the_seed():
    paths = [choose_path('auto', seed, FRAMES) for seed in range(40)]
    assert len({(path.push, path.pivot) for path in paths}) == 3
    assert paths == [choose_path('auto', seed, FRAMES) for seed in range(40)]


def test_still_stays():
    path = choose_path('still', 7, FRAMES)
    assert path.ease == path.x == path.y == [0] * FRAMES


def test_another_word_is_no_move():
    with pytest.raises(ValueError, match = 'loop'):
        choose_path('loop', 0, FRAMES)
