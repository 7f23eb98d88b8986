#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
GIFs, as Pillow, gifsicle and FFmpeg read them.

Libraries: pytest, numpy, OpenCV, Pillow.
"""

import subprocess
from dataclasses import replace

import cv2
import numpy as np
import pytest
from PIL import Image, ImageSequence

from modules.clips import provenance
from modules.encoders import TABLE, Clip
from modules.encoders.gif import encoder


def _photo(height: int = 90, width: int = 160) -> np.ndarray:
    """A picture with an even sky, colours and grain."""
    chance = np.random.default_rng(7)
    coarse = chance.integers(0, 255, (6, 8, 3)).astype(np.uint8)
    picture = cv2.resize(coarse, (width, height), interpolation = cv2.INTER_CUBIC)
    picture[:height // 3] = np.linspace((90, 140, 210), (140, 180, 230), height // 3)[:, None]
    return np.clip(picture + chance.normal(0, 3, picture.shape), 0, 255).astype(np.uint8)


def _pan(count: int = 6) -> np.ndarray:
    photo = _photo(90, 160 + 2 * count)
    return np.stack([photo[:, 2 * i:2 * i + 160] for i in range(count)])


def _written(tmp_path, frames, fps = 15):
    encoder.encode(Clip(frames, fps), tmp_path / 'clip.gif')
    return tmp_path / 'clip.gif'


def _read(path):
    with Image.open(path) as image:
        return [(np.asarray(frame.convert('RGB')), frame.info['duration'] // 10)
                for frame in ImageSequence.Iterator(image)]


def _psnr(one, other):
    return 10 * np.log10(255**2 / max(np.mean((one.astype(float) - other)**2), 1e-9))


@pytest.mark.parametrize('count', [1, 2, 25])
@pytest.mark.parametrize('fps', range(1, 61))
def test_lasts_as_long_as_the_clip_at_any_speed_without_delays_that_browsers_stretch(
        tmp_path, fps, count):
    frames = np.zeros((count, 4, 4, 3), np.uint8)
    frames[:, 0, 0] = np.arange(count)[:, None] * 9
    delays = [delay for _, delay in _read(_written(tmp_path, frames, fps))]
    assert min(delays) >= 2
    assert sum(delays) == max(2, round(100 * count / fps))


@pytest.mark.parametrize('count', [1, 2, 7])
def test_loops_for_ever_and_keeps_every_frame(tmp_path, count):
    output = subprocess.run(['gifsicle', '-I', _written(tmp_path, _pan(count))],
                            capture_output = True,
                            text = True,
                            check = True).stdout
    assert 'loop forever' in output
    assert f'{count} image' in output


def test_frames_that_are_too_fast_are_left_out_all_along_the_clip(tmp_path):
    """At 60 frames a second ten of sixty cannot be shown; cutting them off the end would keep the time as well."""
    greys = np.arange(60, dtype = np.uint8)[:, None, None, None] * 4
    frames = np.broadcast_to(greys, (60, 16, 16, 3))
    shown = [int(frame[0, 0, 0]) // 4 for frame, _delay in _read(_written(tmp_path, frames, 60))]
    steps = np.diff(shown)
    assert 45 <= len(shown) <= 50
    assert shown[0] == 0 and shown[-1] >= 58
    assert set(steps) == {1, 2}


def test_identical_frames_keep_the_total_time(tmp_path):
    path = _written(tmp_path, np.repeat(_pan(1), 9, 0), 12)
    assert sum(delay for _, delay in _read(path)) == 75
    assert path.stat().st_size < _written(tmp_path, _pan(1)).stat().st_size + 8 * 60


def test_frames_are_nearer_to_the_clip_than_those_of_pillow_by_a_decibel(tmp_path):
    frames = _pan()
    first, *others = map(Image.fromarray, frames)
    first.save(tmp_path / 'pillow.gif', save_all = True, append_images = others, duration = 70)
    ours, theirs = (
        np.stack([frame for frame, _ in _read(path)])
        for path in (_written(tmp_path, frames), tmp_path / 'pillow.gif'))
    assert _psnr(ours, frames) > _psnr(theirs, frames) + 1


def test_ffmpeg_sees_what_pillow_sees(tmp_path):
    path = _written(tmp_path, _pan())
    raw = subprocess.run([
        'ffmpeg', '-v', 'error', '-i', path, '-fps_mode', 'passthrough', '-f', 'rawvideo',
        '-pix_fmt', 'rgb24', '-'
    ],
                         capture_output = True,
                         check = True).stdout
    seen = np.frombuffer(raw, np.uint8).reshape(-1, 90, 160, 3)
    assert (seen == np.stack([frame for frame, _ in _read(path)])).all()


def test_few_colours_come_back_exactly(tmp_path):
    colours = np.random.default_rng(1).integers(0, 255, (12, 3)).astype(np.uint8)
    frames = colours[np.random.default_rng(2).integers(0, 12, (3, 20, 30))]
    read = np.stack([frame for frame, _ in _read(_written(tmp_path, frames))])
    assert np.abs(read.astype(int) - frames).max() <= 2


def test_what_is_still_does_not_flicker_among_what_moves(tmp_path):
    frames = np.repeat(_photo()[None], 8, 0)
    moving = np.random.default_rng(3).random((8, 90, 160)) < 0.3
    frames[moving] = 255 - frames[moving]
    read = np.stack([frame for frame, _ in _read(_written(tmp_path, frames))]).astype(int)
    still = (np.diff(frames.astype(int), axis = 0) == 0).all(3)
    assert np.abs(np.diff(read, axis = 0))[still].max() == 0


def test_stores_only_the_part_that_changes(tmp_path):
    frames = np.repeat(_photo()[None], 2, 0)
    frames[1, 40:60, 100:120] = (250, 20, 20)
    output = subprocess.run(['gifsicle', '-I', _written(tmp_path, frames), '#1'],
                            capture_output = True,
                            text = True,
                            check = True).stdout
    assert '#1 20x20 at 100,40' in output


def test_what_stays_between_changes_costs_next_to_nothing(tmp_path):
    frames = np.repeat(_photo()[None], 2, 0)
    frames[1, :4, :4] = frames[1, -4:, -4:] = (250, 20, 20)
    one = _written(tmp_path, frames[:1]).stat().st_size
    assert _written(tmp_path, frames).stat().st_size < 1.2 * one


def test_what_changes_slowly_does_not_stay_behind(tmp_path):
    grain = np.random.default_rng(5).integers(60, 100, (90, 160, 3))
    frames = np.stack([grain + i for i in range(16)]).astype(np.uint8)
    read = [frame for frame, _ in _read(_written(tmp_path, frames))]
    assert _psnr(read[-1], frames[-1]) > _psnr(read[0], frames[0]) - 1.5


def test_clips_that_change_their_colours_get_a_palette_for_each_frame(tmp_path):
    y, x = np.mgrid[:90, :160] / 160
    frames = np.stack([
        np.stack([60 + 60 * x + 12 * i, 200 - 60 * y - 10 * i, 90 + 8 * i + 50 * x * y], 2)
        for i in range(12)
    ]).astype(np.uint8)
    read = _read(_written(tmp_path, frames))
    assert min(_psnr(one, other) for (one, _), other in zip(read, frames, strict = True)) > 42


def test_the_same_clip_makes_the_same_bytes(tmp_path):
    assert _written(tmp_path, _pan()).read_bytes() == _written(tmp_path, _pan()).read_bytes()


def test_two_by_two_pixels_are_enough(tmp_path):
    assert len(_read(_written(tmp_path, _pan(3)[:, :2, :2]))) == 3


def test_gives_nothing_up_where_the_limit_allows_it(tmp_path):
    path = tmp_path / 'within.gif'
    assert encoder.encode(Clip(_pan(), 15), path) is None
    assert path.read_bytes() == _written(tmp_path, _pan()).read_bytes()


@pytest.mark.parametrize(('part', 'colours', 'pixels', 'frames'), [(0.9, True, False, False),
                                                                   (0.4, True, True, False),
                                                                   (0.06, True, True, True)])
def test_gives_up_colours_then_pixels_then_frames_and_says_so(tmp_path, part, colours, pixels,
                                                              frames):
    path = tmp_path / 'within.gif'
    limit = int(_written(tmp_path, _pan(9)).stat().st_size * part)
    note = encoder.encode(Clip(_pan(9), 15, max_bytes = limit), path)
    read = _read(path)
    assert path.stat().st_size <= limit
    assert (note.values['colours'] < 255, read[0][0].shape[1] < 160, len(read)
            < 9) == (colours, pixels, frames)
    assert sum(delay for _, delay in read) == 60
    assert str(note.values['width']) in note.in_('zh') and str(
        note.values['frames']) in note.in_('en')


SETTINGS = {'words': 'x' * 500}


@pytest.mark.parametrize('is_generated', [False, True])
def test_the_whole_file_keeps_to_the_limit_of_its_clip(tmp_path, is_generated):
    """What is told beside the pictures counts too."""
    path = tmp_path / 'clip.gif'
    clip = Clip(
        _pan(), 15, is_generated = is_generated, settings = provenance.settings_to_text(SETTINGS))
    assert TABLE['gif'].encode(clip, path) is None
    whole = path.stat().st_size
    assert TABLE['gif'].encode(replace(clip, max_bytes = whole), path) is None
    assert path.stat().st_size == whole
    note = TABLE['gif'].encode(replace(clip, max_bytes = whole - 1), path)
    assert 'colours' in note.in_('en')
    assert path.stat().st_size < whole
    assert provenance.read_settings(path) == SETTINGS


def test_a_limit_below_all_else_is_not_no_limit(tmp_path):
    clip = Clip(_pan(), 15, is_generated = True, max_bytes = 1)
    assert TABLE['gif'].encode(clip, tmp_path / 'clip.gif')
    assert len(_read(tmp_path / 'clip.gif')) == 1
