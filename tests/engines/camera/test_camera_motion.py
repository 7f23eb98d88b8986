#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
The camera motion engine: what its frames look like and where their pixels come from.

Libraries: pytest, numpy, OpenCV, Pillow.
"""

import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from modules import errors
from modules.configuration import ROOT, Configuration, ModelOptions
from modules.engines.camera import depth_guess
from modules.engines.camera import engine as camera_motion
from modules.engines.camera import path as paths
from modules.engines.camera.engine import FPS, CameraMotion
from modules.engines.camera.layers import source_of
from modules.engines.camera.sheet import Sheet, guess_depth
from modules.engines.camera.view import plan_views, travel_in_pixels
from modules.photos.sizes import Photo, result_size
from modules.progress import JobControl, Progress, do_nothing
from modules.request import parse_request

MOST = camera_motion.LEAST_TRAVEL + camera_motion.MORE_TRAVEL


def scene(width = 640, height = 360):
    """Detail everywhere but in the sky; a red thing in the middle."""
    noise = np.random.default_rng(0).integers(0, 255, (height, width, 1), np.uint8)
    noise = cv2.GaussianBlur(noise, (0, 0), 1.2)[..., None].astype(float) - 127
    pixels = np.full((height, width, 3), (90, 120, 80)) + noise
    cv2.circle(pixels, (width // 2, height // 2), height // 5, (190, 40, 50), -1)
    pixels += noise / 2
    pixels[:height // 6] = (150, 190, 240)
    return pixels.clip(0, 255).astype(np.uint8)


def flowing(pixels, frames = 12, report = do_nothing, stop = do_nothing, **fields):
    """The frames while they are made."""
    image = Image.fromarray(pixels)
    words = {'motion_bucket_id': 127, 'seed': 1, **fields}
    request = parse_request([(key, str(value)) for key, value in words.items()], Path(), 'photo')
    engine = CameraMotion(Configuration(model = ModelOptions(seconds = frames / FPS)))
    engine.load()
    return engine.animate(Photo(image, image.size), request, JobControl(report, stop))


def animated(*given, **fields):
    return np.stack(list(flowing(*given, **fields)))


def steps(frames):
    """How much each frame differs from the one before it; the first from the last."""
    return [
        np.abs(a.astype(int) - b).mean()
        for a, b in zip(frames, np.roll(frames, 1, 0), strict = True)
    ]


def maps(pixels, seed, travel = MOST):
    """Columns and rows from which the pixels of every moving frame come."""
    shot = paths.Shot(paths.choose_path('auto', seed, 12), travel)
    near = guess_depth(pixels, travel_in_pixels(shot, pixels.shape[1::-1]))
    for view in plan_views(shot, near, Sheet(pixels, near).rims)[1:]:
        yield source_of(view, near, 1, 0)


def moved(frames, box):
    """How far what is in a box of frame 0 moves sideways at most, in pixels."""
    greys = [cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)[box].astype(np.float32) for frame in frames]
    window = cv2.createHanningWindow(greys[0].shape[::-1], cv2.CV_32F)
    return max(abs(cv2.phaseCorrelate(greys[0], grey, window)[0][0]) for grey in greys)


def test_frame_0_is_the_photo_as_pillow_resizes_it():
    pixels = cv2.resize(scene(), (2000, 1125), interpolation = cv2.INTER_CUBIC)
    frames = animated(pixels, frames = 2)
    size = result_size((2000, 1125), 1024 * 576)
    assert frames.shape == (2, size[1], size[0], 3) and frames.dtype == np.uint8
    assert (frames[0] == np.asarray(Image.fromarray(pixels).resize(
        size, Image.Resampling.LANCZOS))).all()


@pytest.mark.parametrize('seed', range(6))
def test_the_clip_closes_without_a_jump(seed):
    last_to_first, *others = steps(animated(scene(), frames = 24, seed = seed))
    assert 0 < last_to_first <= max(others)
    assert last_to_first < 1.5 * others[0]


def test_the_middle_moves_more_than_what_is_behind_it():
    frames = animated(scene(), seed = 0)
    subject = moved(frames, np.s_[130:230, 270:370])
    behind = moved(frames, np.s_[62:102, 270:370])
    assert subject > 4 and subject > 1.8 * behind


def test_the_ground_moves_more_than_what_stands_on_it():
    pixels = scene()
    pixels[60:] = np.roll(pixels[60:], 200, 0)[..., :1]  # no red thing, detail alone
    frames = animated(pixels, seed = 0)
    assert moved(frames, np.s_[290:350, 270:370]) > 1.5 * moved(frames, np.s_[80:140, 270:370])


def test_the_sky_is_far_and_the_thing_in_the_middle_is_near():
    near = depth_guess.nearness(scene())
    rows, columns = near.shape
    sky, ground, middle = near[:6].mean(), near[-6:].mean(), near[rows // 2, columns // 2]
    assert sky < 0.15 < 0.6 < ground < middle


def test_what_is_in_focus_is_nearer_than_what_is_not():
    pixels = np.repeat(scene()[..., :1], 3, 2)
    pixels[:60] = pixels[60:120]
    blurred = cv2.GaussianBlur(pixels, (0, 0), 3)
    blurred[100:260, 60:220] = pixels[100:260, 60:220]
    near = cv2.resize(depth_guess.nearness(blurred), (640, 360))
    assert near[180, 140] > near[180, 500] + 0.3


@pytest.mark.parametrize('size', [(640, 360), (300, 700), (1200, 90), (24, 16)])
def test_never_looks_beyond_the_border(size):
    pixels = scene(*size)
    for seed in range(8):
        for columns, rows in maps(pixels, seed):
            assert columns.min() > -0.01 and columns.max() < size[0] - 0.99
            assert rows.min() > -0.01 and rows.max() < size[1] - 0.99


def test_nothing_folds_tears_or_turns_to_rubber():
    pixels = scene()
    for seed in range(8):
        for columns, rows in maps(pixels, seed):
            xx, xy = np.diff(columns, axis = 1)[1:], np.diff(columns, axis = 0)[:, 1:]
            yx, yy = np.diff(rows, axis = 1)[1:], np.diff(rows, axis = 0)[:, 1:]
            assert min(xx.min(), yy.min()) > 0.6 and max(xx.max(), yy.max()) < 1.3
            assert (xx * yy - xy * yx).min() > 0.45
            assert max(np.abs(xy).max(), np.abs(yx).max()) < 0.35


def test_what_stands_upright_is_not_bent():
    pixels = scene()
    pixels[:240] = (60, 90, 160)
    pixels[60:300, 400:410] = 230
    for seed in range(8):
        for columns, _rows in maps(pixels, seed):
            tower, at = columns[60:300, 405], np.arange(240)
            straight = np.polyval(np.polyfit(at, tower, 1), at)
            assert np.abs(tower - straight).max() < 2.5


def test_no_frame_is_visibly_softer_or_sharper_than_the_next():
    frames = animated(scene(), frames = 24)
    sharpness = [cv2.Laplacian(frame, cv2.CV_32F).std() for frame in frames]
    changes = np.abs(np.diff(sharpness + sharpness[:1])) / np.mean(sharpness)
    assert changes.max() < 0.05


def test_motion_grows_with_the_motion_bucket():
    still, some, much = (
        np.mean(steps(animated(scene(), motion_bucket_id = m))) for m in (0, 127, 255))
    assert 0 < still < some / 3 and some < 0.8 * much


def test_seeds_choose_different_paths():
    clips = {animated(scene(160, 90), frames = 4, seed = seed).tobytes() for seed in range(20)}
    assert len(clips) == 20


def test_the_same_request_gives_the_same_bytes():
    assert animated(scene()).tobytes() == animated(scene()).tobytes()


def test_stops_before_the_next_frame_when_cancelled():
    done = []

    def stop():
        if len(done) == 3:
            raise errors.Cancelled

    with pytest.raises(errors.Cancelled):
        animated(scene(), report = done.append, stop = stop)
    assert len(done) == 3


def test_tells_every_frame():
    reports = []
    animated(scene(160, 90), frames = 5, report = reports.append)
    assert reports == [Progress('step', frame, 5) for frame in range(1, 6)]


def test_every_step_shows_the_frame_just_made():
    reports = []
    for frame in flowing(scene(160, 90), frames = 5, report = reports.append):
        assert reports[-1].picture is frame
    assert len(reports) == 5


def test_tells_the_options_that_change_the_clip():
    model = ModelOptions(output_frames = 9, output_fps = 12, image_prompt_height = 640)
    settings = CameraMotion(Configuration(model = model)).settings(None)
    assert settings == {
        'OutputFPS': 12,
        'ImagePromptWidth': 1024,
        'ImagePromptHeight': 640,
        'Seconds': 3.0
    }


@pytest.mark.parametrize('size', [(1, 1), (2, 2), (9, 8), (10000, 2), (2, 10000), (40000, 3),
                                  (3000, 12)])
def test_makes_a_clip_of_photos_of_any_shape(size):
    frames = animated(np.full((size[1], size[0], 3), 90, np.uint8), frames = 3)
    width, height = result_size(size, 1024 * 576)
    assert frames.shape == (3, height, width, 3)
    assert (frames == 90).all()


@pytest.mark.parametrize('frames', [1, 2, 3])
def test_makes_clips_of_few_frames(frames):
    clip = animated(scene(160, 90), frames = frames)
    assert len(clip) == frames and (clip[0] == scene(160, 90)).all()


def test_a_photo_decoded_at_reduced_scale_fills_the_result():
    image = Image.fromarray(scene(600, 338))
    request = parse_request([('seed', '1')], Path(), 'photo')
    engine = CameraMotion(Configuration(model = ModelOptions(seconds = 3 / FPS)))
    frames = np.stack(list(engine.animate(Photo(image, (4000, 2250)), request, JobControl())))
    assert frames.shape[1:3] == result_size((4000, 2250), 1024 * 576)[::-1]


def test_importing_the_engine_leaves_its_libraries_alone():
    words = 'import sys, modules.engines.camera.engine; sys.exit("cv2" in sys.modules or "numpy" in sys.modules)'
    assert subprocess.run([sys.executable, '-c', words], cwd = ROOT).returncode == 0


def test_says_what_to_install_where_opencv_is_missing():
    assert CameraMotion(Configuration()).status().reason is None
    words = ('import sys; from modules.configuration import Configuration; '
             'from modules.engines.camera.engine import CameraMotion; sys.path.clear(); '
             'print(CameraMotion(Configuration()).status().reason.in_("en"))')
    output = subprocess.run([sys.executable, '-c', words],
                            cwd = ROOT,
                            capture_output = True,
                            text = True)
    assert 'opencv-python-headless' in output.stdout
