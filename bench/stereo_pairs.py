#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
Stereo pairs whose disparity is known, for ``bench/camera.py``. None lies in this repository: ``motorcycle`` comes with
scikit-image, which fetches it (``pip install scikit-image pooch``); the others are Middlebury scenes, free for
research, from https://vision.middlebury.edu/stereo/data/, each in a folder of its name:

    cones (2003, quarter size): im2.png im6.png disp2.png    Art, Moebius (2005, third size), Reindeer (half size):
    view1.png view5.png disp1.png    Adirondack (2014, quarter size): left.png right.png disparity.png (whole pixels)

Libraries: numpy, OpenCV; scikit-image for ``motorcycle``.
"""

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

#: scene → left eye, right eye, disparity of the left one, by how much its numbers are too large
FILES = {
    'Adirondack': ('left.png', 'right.png', 'disparity.png', 1),
    'cones': ('im2.png', 'im6.png', 'disp2.png', 4),
    'Reindeer': ('view1.png', 'view5.png', 'disp1.png', 2),
    'Art': ('view1.png', 'view5.png', 'disp1.png', 3),
    'Moebius': ('view1.png', 'view5.png', 'disp1.png', 3),
}


@dataclass(frozen = True)
class Pair:
    """Two eyes' photos, uint8 [H, W, 3], and what is known of them."""

    name: str
    left: np.ndarray
    right: np.ndarray
    #: float32 [H, W], pixels, of the left eye; holes are filled from the far side
    disparity: np.ndarray
    #: bool [H, W] of the right eye: seen by the left as well; not seen; seen, within 8 pixels of what is not
    seen: np.ndarray
    revealed: np.ndarray
    beside: np.ndarray

    @property
    def near(self) -> np.ndarray:
        """
        Scale disparity.

        :return: float32 [H, W], 0–1
        :rtype: np.ndarray
        """
        return (self.disparity - self.disparity.min()) / np.ptp(self.disparity)


def load_pairs(folder: Path | None) -> list[Pair]:
    """
    Load all that can be had.

    :param folder: holds a folder for each scene; None for the one of scikit-image alone
    :type folder: Path | None
    :return: the pairs
    :rtype: list[Pair]
    """
    pairs = []
    try:
        from skimage.data import stereo_motorcycle
        left, right, disparity = stereo_motorcycle()
        pairs.append(
            _pair('motorcycle', left, right, np.where(np.isfinite(disparity), disparity, 0)))
    except ImportError:
        print('motorcycle is left out: pip install scikit-image pooch')
    if folder is None:
        return pairs
    for name, (*files, scale) in FILES.items():
        pictures = [_read_picture(folder / name / file) for file in files]
        if any(picture is None for picture in pictures):
            print(f'{name} is left out: not all of {files} can be read')
            continue
        left, right, disparity = (np.asarray(picture) for picture in pictures)
        disparity = cv2.cvtColor(disparity, cv2.COLOR_RGB2GRAY)
        pairs.append(_pair(name, left, right, disparity / np.float64(scale)))
    return pairs


def _read_picture(path: Path) -> np.ndarray | None:
    picture = cv2.imread(str(path))
    return None if picture is None else cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)


def _pair(name: str, left: np.ndarray, right: np.ndarray, disparity: np.ndarray) -> Pair:
    known = disparity > 0
    whole = _fill_holes(disparity.astype(np.float32), known)
    height, width = whole.shape
    rows, columns = np.mgrid[:height, :width]
    lands = np.zeros(whole.shape, np.uint8)
    unsure = np.zeros(whole.shape, np.uint8)
    for side in (0, 1):
        at = np.floor(columns - whole).astype(int) + side
        inside = (at >= 0) & (at < width)
        lands[rows[inside], at[inside]] = 1
        unknown = inside & ~known
        unsure[rows[unknown], at[unknown]] = 1
    hole = 1 - cv2.morphologyEx(lands, cv2.MORPH_CLOSE, np.ones((1, 3), np.uint8))
    hole = cv2.morphologyEx(hole, cv2.MORPH_OPEN, np.ones((2, 2), np.uint8))
    square = np.ones((3, 3), np.uint8)
    inside = (columns >= 4) & (columns < width - whole.max())
    seen = (cv2.dilate(hole, square) == 0) & (cv2.dilate(unsure, square) == 0) & inside
    beside = seen & (cv2.dilate(hole, np.ones((17, 17), np.uint8)) > 0)
    return Pair(name, left, right, whole, seen, (hole > 0) & inside, beside)


def _fill_holes(disparity: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Give what is not known the smaller disparity of its neighbours to the left and right."""
    height, width = disparity.shape
    columns, rows = np.arange(width)[None], np.arange(height)[:, None]
    left = np.maximum.accumulate(np.where(known, columns, -1), 1)
    right = np.minimum.accumulate(np.where(known, columns, width)[:, ::-1], 1)[:, ::-1]
    ends = [
        np.where((at >= 0) & (at < width), disparity[rows, at.clip(0, width - 1)], np.inf)
        for at in (left, right)
    ]
    filled = np.minimum(*ends)
    filled[~np.isfinite(filled)] = disparity[known].min()
    filled = np.where(known, disparity, filled).astype(np.float32)
    return np.where(known, filled, cv2.medianBlur(filled, 5))
