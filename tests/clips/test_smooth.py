#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
Frames between frames: near to the truth where something moves, never worse than a blend, and in every file as long as
without them.

Libraries: pytest, numpy, OpenCV, Pillow; ffprobe and ffmpeg.
"""

import dataclasses
import tracemalloc

import cv2
import numpy as np
import pytest
from judges import decoded, psnr, scenery, streams
from PIL import Image
from stand_ins import table

from modules.clips import lossless, provenance
from modules.clips.animator import Animator
from modules.clips.smooth import Motion, choose_factor, smooth_frames
from modules.clips.writer import FRAMES
from modules.configuration import Configuration
from modules.encoders import Clip
from modules.engines.registry import Engines
from modules.photos.reader import PhotoReader
from modules.progress import JobControl
from modules.request import parse_request

HEIGHT, WIDTH = 192, 320


def _picture(seed = 0):
    """A picture in which motion can be seen everywhere."""
    return np.roll(np.asarray(scenery(WIDTH + 120, HEIGHT + 120)), 77 * seed, (0, 1))


def _cut(picture, x, y):
    """A part of a picture, from a place between pixels."""
    centre = (x + (WIDTH - 1) / 2, y + (HEIGHT - 1) / 2)
    return cv2.getRectSubPix(picture, (WIDTH, HEIGHT), centre)


def _slide(time):
    return _cut(_picture(), 20 + 5 * time, 20 + 2 * time)


def _rotate(time):
    turn = cv2.getRotationMatrix2D((WIDTH / 2, HEIGHT / 2), 2 * time, 1 + 0.01 * time)
    return cv2.warpAffine(_picture()[:HEIGHT, :WIDTH], turn, (WIDTH, HEIGHT), borderMode = 4)


def _pass_by(time):
    """Something moves before what moves the other way."""
    frame = _cut(_picture(), 60 - 2 * time, 30)
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    near = np.hypot(x - 120 - 6 * time, y - 90) < 50
    return np.where(near[..., None], _cut(_picture(1), 40 - 6 * time, 20), frame)


def _appear(time):
    """Something comes into sight without any motion."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    seen = time * (np.hypot(x - 120, y - 90) < 60)[..., None]
    return np.rint((1 - seen) * _cut(_picture(), 0, 0) + seen * _cut(_picture(1), 0, 0)).astype(
        np.uint8)


def _stand(time):
    """Nothing moves but the noise of a camera."""
    noise = np.random.default_rng(int(2 * time)).normal(0, 3, (HEIGHT, WIDTH, 3))
    return np.clip(_picture()[:HEIGHT, :WIDTH] + noise, 0, 255).astype(np.uint8)


def _another(time):
    """A cut just before the later frame."""
    return _slide(time) if time < 1 else _cut(_picture(2), 30, 30)


def _blend(time, first, second):
    return np.rint((1 - time) * first.astype(float) + time * second).astype(np.uint8)


@pytest.mark.parametrize(('scene', 'least', 'gain'), [(_slide, 45, 12), (_rotate, 47, 11),
                                                      (_pass_by, 41, 6), (_stand, 35, -0.1),
                                                      (_another, 15, -0.1)])
@pytest.mark.parametrize('time', [0.25, 0.5, 0.75])
def test_what_moves_is_shown_on_its_way(scene, least, gain, time):
    first, second, truth = scene(0), scene(1), scene(time)
    found, blend = Motion(first, second).between(time), _blend(time, first, second)
    assert psnr(found, truth) - psnr(blend, truth) >= gain
    assert psnr(found, truth) >= least


def test_what_comes_into_sight_is_dissolved_into():
    assert psnr(Motion(_appear(0), _appear(1)).between(0.5), _appear(0.5)) > 36


def test_another_picture_is_dissolved_into():
    first, second = _another(0), _another(1)
    assert psnr(Motion(first, second).between(0.5), _blend(0.5, first, second)) > 45


def test_the_number_of_threads_changes_nothing():
    before, found = cv2.getNumThreads(), set()
    try:
        for threads in (1, 2, 5):
            cv2.setNumThreads(threads)
            found.add(Motion(_rotate(0), _rotate(1)).between(0.5).tobytes())
    finally:
        cv2.setNumThreads(before)
    assert len(found) == 1


@pytest.mark.parametrize('size', [(2, 2), (2, 80), (30, 34), (32, 32), (62, 66), (64, 64)])
def test_no_size_is_too_small(size):
    picture = np.asarray(scenery(100, 100))[:size[0], :size[1]]
    found = Motion(picture, np.roll(picture, 1, 1)).between(0.5)
    assert found.shape == (*size, 3)
    assert psnr(Motion(picture, picture).between(0.5), picture) > 50


@pytest.mark.parametrize(('wanted', 'fps', 'factor'),
                         [(1, 7, 1), (2, 15, 2), (4, 15, 4), (4, 16, 2), (2, 30, 2), (2, 31, 1),
                          (4, 60, 1)])
def test_no_more_frames_are_shown_than_screens_show(wanted, fps, factor):
    assert choose_factor(wanted, fps) == factor


@pytest.mark.parametrize('loops', [False, True])
def test_frames_that_were_made_stay_as_they_are(loops):
    frames = np.stack([_slide(number) for number in range(4)])
    clip = smooth_frames(Clip(frames, 10, key_index = 2), 4, loops = loops)
    assert (len(clip.frames), clip.fps, clip.key_index) == (16, 40, 8)
    for number in range(4):
        assert (clip.frames[4 * number] == frames[number]).all()
    assert psnr(clip.frames[6], _slide(1.5)) > 38
    if loops:
        # the last frame leads to the first
        assert psnr(clip.frames[14], _slide(1.5)) > psnr(frames[3], _slide(1.5)) + 3
    else:
        assert all((clip.frames[number] == frames[3]).all() for number in (13, 14, 15))


def test_backwards_it_is_the_same_as_forwards():
    frames = np.stack([_slide(number) for number in (0, 1)])
    there, back = (
        smooth_frames(Clip(one, 10), 2, loops = False).frames[1] for one in (frames, frames[::-1]))
    assert psnr(there, back) > 38


def test_a_long_clip_is_not_in_memory_as_a_whole():
    peaks = []
    for count in (20, 80):
        # frames that are views of one picture need no memory of their own
        wide = np.asarray(scenery(WIDTH + 2 * count, HEIGHT))
        frames = np.lib.stride_tricks.sliding_window_view(wide, (HEIGHT, WIDTH, 3))[0, ::2, 0]
        tracemalloc.start()
        try:
            for _frame in smooth_frames(Clip(frames, 15), 2, loops = True).frames:
                pass
            peaks.append(tracemalloc.get_traced_memory()[1])
        finally:
            tracemalloc.stop()
    assert peaks[1] < peaks[0] + 2 * HEIGHT * WIDTH * 3


def _make(folder, engine = 'Drifting', usual = 2, **fields):
    """The file an animator writes of eight frames, 15 a second."""
    folder.mkdir(exist_ok = True)
    model = dataclasses.replace(
        Configuration().model, engine = 'svd', output_frames = 8, smooth = usual)
    configuration = dataclasses.replace(Configuration(), model = model)
    engines = Engines(configuration, table(svd = engine))
    scenery(160, 96).save(folder / 'photo.png')
    request = parse_request({'engine': 'svd', **fields}.items(), folder / 'photo.png', 'photo')
    animator = Animator(configuration, PhotoReader(10**8), engines)
    animator.animate(request, folder / 'result', JobControl(), keep = folder)
    return folder / 'result'


# what the INI says; what the form says; frames shown and those that were made
@pytest.mark.parametrize(('usual', 'fields', 'shown', 'made'), [
    (2, ['mp4'], 16, 8),
    (1, ['mp4'], 8, 8),
    (2, ['mp4', '4'], 32, 8),
    (2, ['mp4', '1'], 8, 8),
    (2, ['mp4', '', 'pingpong'], 28, 14),
    (2, ['gif'], 8, 8),
    (1, ['gif', '2'], 16, 8),
    (2, ['webp'], 16, 8),
])
def test_a_file_has_more_frames_and_lasts_as_long(tmp_path, usual, fields, shown, made):
    fields = dict(zip(('format', 'smooth', 'loop'), fields, strict = False))
    path = _make(tmp_path, usual = usual, **fields)
    assert provenance.read_settings(path)['parameters']['smooth'] == shown // made
    with lossless.KeptFrames(tmp_path / FRAMES) as kept:
        assert len(kept) == 8
    if fields['format'] == 'mp4':
        stream, = streams(path)
        assert int(stream['nb_frames']) == shown
        assert float(stream['duration']) == pytest.approx(made / 15, abs = 1e-3)
        return
    with Image.open(path) as image:
        # the last one is shown twice, which a WebP holds as one
        assert image.n_frames == shown - (fields['format'] == 'webp')
        durations = []
        for number in range(image.n_frames):
            image.seek(number)
            image.load()
            durations.append(image.info['duration'])
    assert sum(durations) == pytest.approx(1000 * made / 15, abs = 10)


def test_a_frame_between_is_on_its_way(tmp_path):
    """The stand-in slides eight pixels a frame."""
    path = _make(tmp_path, format = 'mp4')
    stream, = streams(path)
    frames = decoded(path, int(stream['height']), int(stream['width']))
    inner = np.s_[:, 16:-16]
    half_way = np.roll(frames[2], -4, 1)[inner]
    assert psnr(frames[3][inner], half_way) > psnr(frames[2][inner], half_way) + 10


@pytest.mark.parametrize('key_frame', ['start', 'middle', 'end'])
def test_the_still_keeps_its_moment(tmp_path, key_frame):
    moments = []
    for usual in (1, 2):
        path = _make(
            tmp_path / str(usual), usual = usual, format = 'motion-photo', key_frame = key_frame)
        data = path.read_bytes()
        (tmp_path / 'clip.mp4').write_bytes(data[data.index(b'ftyp') - 4:])
        stream, = streams(tmp_path / 'clip.mp4')
        frames = decoded(tmp_path / 'clip.mp4', int(stream['height']), int(stream['width']))
        with Image.open(path) as still:
            size = (int(stream['width']), int(stream['height']))
            photo = np.asarray(still.convert('RGB').resize(size))
        likeness = np.array([psnr(frame, photo) for frame in frames])
        assert likeness.max() > 30
        # the last frame may be there twice
        moments.append(int(np.argmax(likeness > likeness.max() - 1)) / len(frames))
    assert moments[1] == pytest.approx(moments[0], abs = 0.04)


@pytest.mark.parametrize('engine', ['Closed', 'Drifting'])
def test_the_seam_of_a_loop_is_smooth_too(tmp_path, engine):
    path = _make(tmp_path, engine, format = 'mp4')
    stream, = streams(path)
    frames = decoded(path, int(stream['height']), int(stream['width']))
    assert (psnr(frames[15], frames[14]) < 45) == (engine == 'Closed')
