#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
Chooses the colours of a GIF, and for every pixel the one that stands for it.

Libraries: numpy, OpenCV.
"""

import cv2
import numpy as np

#: what the table holds for a colour that has not turned up yet; entries are counted from one, so that none is called so
UNKNOWN = 0
#: bits a channel keeps in the histogram of many frames, and in that of one frame and the table that maps pixels
COARSE, FINE = 6, 7
#: cells compared with the palette at a time, so that the distances stay in the processor's cache
BATCH = 512
#: rounds of k-means
ROUNDS = 5


def count_colours(frames: np.ndarray, bits: int) -> tuple[np.ndarray, np.ndarray]:
    """
    Count the colours of some frames in cells.

    :param frames: uint8 [T, H, W, 3]
    :type frames: np.ndarray
    :param bits: bits kept of a channel
    :type bits: int
    :return: float32 [N, 3], the centre of each cell that has pixels, and float32 [N], how many
    :rtype: tuple[np.ndarray, np.ndarray]
    """
    occupied, counts = np.unique(_cells(np.concatenate(frames), bits), return_counts = True)
    return _centres(occupied, bits), counts.astype(np.float32)


def _cells(frame: np.ndarray, bits: int) -> np.ndarray:
    """The cell of colour space in which each pixel lies: a byte for each channel, red the lowest."""
    cells = cv2.cvtColor(frame, cv2.COLOR_RGB2RGBA).view(np.int32)[..., 0]
    cells >>= 8 - bits
    cells &= 0x010101 * ((1 << bits) - 1)
    return cells


def _centres(cells: np.ndarray, bits: int) -> np.ndarray:
    channels = np.stack([cells >> 8 * channel & 0xFF for channel in range(3)], 1)
    step = 1 << (8 - bits)
    return channels.astype(np.float32) * step + (step - 1) / 2


def _find_nearest(colours: np.ndarray, palette: np.ndarray) -> np.ndarray:
    """The number of the palette entry nearest to each colour, intp [N]."""
    half_square = (palette * palette).sum(1) / 2
    found = []
    for start in range(0, len(colours), BATCH):
        # half the squared distance, negated, but for a summand that is the same in a row
        closeness = colours[start:start + BATCH] @ palette.T
        closeness -= half_square
        found.append(closeness.argmax(1))
    return np.concatenate(found)


def choose_colours(colours: np.ndarray, counts: np.ndarray, size: int) -> np.ndarray:
    """
    Choose the palette that fits a histogram best: boxes split where they vary most, then k-means.

    :param colours: float32 [N, 3]
    :type colours: np.ndarray
    :param counts: float32 [N], pixels of each colour
    :type counts: np.ndarray
    :param size: most entries it may have
    :type size: int
    :return: float32 [K, 3], whole numbers; K is at most ``size``
    :rtype: np.ndarray
    """
    palette = _split(colours, counts, size)
    return np.unique(np.rint(_refine(palette, colours, counts)), axis = 0)


def measure_error(palette: np.ndarray, colours: np.ndarray, counts: np.ndarray) -> float:
    """
    Measure how far pixels are from the entries that stand for them.

    :param palette: float32 [K, 3]
    :type palette: np.ndarray
    :param colours: float32 [N, 3]
    :type colours: np.ndarray
    :param counts: float32 [N], pixels of each colour
    :type counts: np.ndarray
    :return: mean square of the distance, the three channels added up
    :rtype: float
    """
    distances = ((colours - palette[_find_nearest(colours, palette)])**2).sum(1)
    return float((distances * counts).sum() / counts.sum())


def _refine(palette: np.ndarray, colours: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Move the entries of a palette to the middle of the colours they stand for (Lloyd's k-means); float32 [K, 3]."""
    for _ in range(ROUNDS):
        chosen = _find_nearest(colours, palette)
        pixels = np.bincount(chosen, counts, len(palette))
        sums = [np.bincount(chosen, counts * channel, len(palette)) for channel in colours.T]
        middle = (np.stack(sums, 1) / np.maximum(pixels, 1)[:, None]).astype(np.float32)
        palette = np.where(pixels[:, None] > 0, middle, palette)
    return palette


def _split(colours: np.ndarray, counts: np.ndarray, size: int) -> np.ndarray:
    """Cut the boxes that vary most in two, at their mean and across their longest side, until there are enough."""
    # sums of so many bits are exact, so that boxes of one colour do not vary by a rounding error
    colours, counts = colours.astype(np.float64), counts.astype(np.float64)
    boxes, number = np.zeros(len(colours), np.intp), 1
    while True:
        pixels = np.bincount(boxes, counts)
        sums = np.stack([np.bincount(boxes, counts * each) for each in colours.T], 1)
        means = sums / pixels[:, None]
        apart = counts[:, None] * (colours - means[boxes])**2
        spread = np.stack([np.bincount(boxes, each) for each in apart.T], 1)
        # half as many at a time as there are: cutting one after the other takes longer and chooses the same
        most = min(size - number, max(1, number // 2))
        cut = np.argsort(-spread.sum(1), kind = 'stable')[:most]
        cut = cut[spread[cut].any(1)]
        if not len(cut):
            return means.astype(np.float32)
        other = np.full(number, -1)
        other[cut] = np.arange(number, number + len(cut))
        side = spread.argmax(1)[boxes]
        each = np.arange(len(colours))
        is_beyond = (other[boxes] >= 0) & (colours[each, side] > means[boxes, side])
        boxes[is_beyond] = other[boxes[is_beyond]]
        number += len(cut)


class Mapper:
    """
    Maps pixels to palette entries, counted from one, by a table over colour space that is filled as colours turn up.
    Several threads may use one.

    :param palette: float32 [K, 3], K at most 255
    :type palette: np.ndarray
    :param tolerance: by how many levels a pixel may be further from another entry than from the nearest one
    :type tolerance: int
    """

    def __init__(self, palette: np.ndarray, tolerance: int):
        self.palette = palette
        self.tolerance = tolerance
        # memory of zeros costs nothing before it is used, and most of it never is
        self._table = np.zeros(1 << 24 - (8 - FINE), np.uint8)
        self._colours = np.zeros((256, 1, 3), np.uint8)
        self._colours[1:len(palette) + 1, 0] = palette

    def entries(self, frame: np.ndarray) -> np.ndarray:
        """
        Find the entry that stands for each pixel: the one nearest to the cell of colour space in which the pixel lies.

        :param frame: uint8 [H, W, 3]
        :type frame: np.ndarray
        :return: uint8 [H, W]
        :rtype: np.ndarray
        """
        cells = _cells(frame, FINE)
        found = np.take(self._table, cells, mode = 'clip')
        missing = found == UNKNOWN
        if missing.any():
            wanted = cells[missing]
            self._fill(np.unique(wanted))
            found[missing] = self._table[wanted]
        return found

    def colours(self, entries: np.ndarray) -> np.ndarray:
        """
        Look up the colours of entries.

        :param entries: uint8 [H, W]
        :type entries: np.ndarray
        :return: uint8 [H, W, 3]
        :rtype: np.ndarray
        """
        return cv2.applyColorMap(entries, self._colours)

    def _fill(self, cells: np.ndarray) -> None:
        self._table[cells] = _find_nearest(_centres(cells, FINE), self.palette) + 1
