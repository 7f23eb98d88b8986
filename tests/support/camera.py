#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
Camera motion with a small depth model, or with one that sees what a test wants. Not a test itself.

Libraries: numpy, OpenCV, Pillow.
"""

from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from modules.configuration import Configuration, ModelOptions, StoreOptions
from modules.engines.camera.depth_model import Depth
from modules.engines.camera.engine import FPS, CameraMotion
from modules.photos.sizes import Photo
from modules.progress import JobControl
from modules.request import parse_request

WIDTH, HEIGHT = 640, 360


def options(home, **model):
    return Configuration(
        model = ModelOptions(**{
            'seconds': 12 / FPS,
            **model
        }),
        store = StoreOptions(models_home = home))


def noise(seed = 0):
    """The same detail everywhere, so that nothing but a depth model could tell near from far."""
    grey = np.random.default_rng(seed).integers(0, 255, (HEIGHT, WIDTH, 1), np.uint8)
    return np.repeat(cv2.GaussianBlur(grey, (0, 0), 1.2)[..., None], 3, 2)


class Seeing:
    """
    A model that sees what it was told to; an exception is raised.

    :param seen: disparity or exception, one for each photo, the last for all that follow
    :type seen: numpy.ndarray | Exception
    """

    def __init__(self, *seen):
        self.seen = list(seen)

    def disparity(self, picture):
        assert picture.dtype == np.uint8 and picture.ndim == 3
        seen = self.seen.pop(0) if len(self.seen) > 1 else self.seen[0]
        if isinstance(seen, Exception):
            raise seen
        return seen


def animated(configuration, pixels, *seen, seed = 0, report = lambda progress: None, engine = None):
    """Frames and engine; with ``seen``, through a model that sees it."""
    if engine is None:
        model = Seeing(*seen)
        depth = Depth(configuration, lambda _file: model) if seen else None
        engine = CameraMotion(configuration, depth)
        engine.load()
    fields = [('seed', str(seed)), ('motion_bucket_id', '200')]
    request = parse_request(fields, Path(), 'photo')
    image = Image.fromarray(pixels)
    frames = engine.animate(Photo(image, image.size), request, JobControl(report))
    return np.stack(list(frames)), engine
