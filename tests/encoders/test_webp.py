#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
Animated WebPs, as webpinfo and Pillow read them.

Libraries: pytest, numpy, Pillow.
"""

import re
import subprocess

import numpy as np
import pytest
from PIL import Image, ImageSequence

from modules.encoders import Clip, webp


def _frames(count: int) -> np.ndarray:
    y, x = np.mgrid[:64, :96]
    waves = [np.sin(x / 9 + y / 15 - i / 2) for i in range(count)]
    return np.stack([np.stack([128 + 90 * wave, y * 3, 120 + x // 2 - y], 2)
                     for wave in waves]).astype(np.uint8)


def _written(tmp_path, frames, fps = 15):
    webp.encode(Clip(frames, fps), tmp_path / 'clip.webp')
    return tmp_path / 'clip.webp'


def _info(path):
    return subprocess.run(['webpinfo', path], capture_output = True, text = True,
                          check = True).stdout


@pytest.mark.parametrize('count', [2, 25])
@pytest.mark.parametrize('fps', [1, 6, 7, 12, 15, 24, 30, 60])
def test_lasts_as_long_as_the_clip_to_the_millisecond(tmp_path, fps, count):
    durations = [
        int(ms)
        for ms in re.findall(r'Duration: (\d+)', _info(_written(tmp_path, _frames(count), fps)))
    ]
    assert len(durations) == count
    assert sum(durations) == round(1000 * count / fps)


def test_loops_for_ever(tmp_path):
    assert re.search(r'Loop count\s*: 0\b', _info(_written(tmp_path, _frames(3))))


def test_frames_that_stay_the_same_keep_the_total_time(tmp_path):
    frames = np.repeat(_frames(3), 3, 0)
    durations = re.findall(r'Duration: (\d+)', _info(_written(tmp_path, frames, 12)))
    assert sum(map(int, durations)) == 750


@pytest.mark.parametrize('count', [1, 5])
def test_a_clip_in_which_nothing_moves_is_a_still(tmp_path, count):
    with Image.open(_written(tmp_path, np.repeat(_frames(1), count, 0))) as image:
        assert image.n_frames == 1
        assert np.abs(np.asarray(image.convert('RGB')).astype(int) - _frames(1)[0]).mean() < 4


def test_frames_look_like_the_clip(tmp_path):
    frames = _frames(6)
    with Image.open(_written(tmp_path, frames)) as image:
        read = np.stack(
            [np.asarray(frame.convert('RGB')) for frame in ImageSequence.Iterator(image)])
    assert 10 * np.log10(255**2 / np.mean((read.astype(float) - frames)**2)) > 34


def test_the_same_clip_makes_the_same_bytes(tmp_path):
    assert _written(tmp_path, _frames(6)).read_bytes() == _written(tmp_path,
                                                                   _frames(6)).read_bytes()
