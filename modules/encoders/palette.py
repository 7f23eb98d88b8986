#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
Chooses the colours of a GIF and tells, for every pixel, which of them stand for it.

Libraries: numpy, OpenCV.
"""

import heapq
from collections.abc import Iterator

import cv2
import numpy as np

#: what the table holds, four times 255, for a colour that has not turned up yet; so a palette has no entry 255
UNKNOWN = 0xFFFFFFFF
#: bits a channel keeps in the histogram of many frames, and in that of one frame and the table that maps pixels
COARSE, FINE = 6, 7
#: how many alternatives the table holds for a colour, the nearest included
ALTERNATIVES = 4
#: cells compared with the palette at a time, so that the distances stay in the processor's cache
BATCH = 512
#: an alternative may be worse by this part of its squared distance from the nearest entry
NEARNESS = 0.5
#: rounds of k-means
ROUNDS = 8


def codes(frame: np.ndarray, bits: int) -> np.ndarray:
    """
    The cell of colour space in which each pixel lies.

    :param frame: uint8 [H, W, 3]
    :type frame: np.ndarray
    :param bits: bits kept of a channel
    :type bits: int
    :return: uint32 [H, W], red in the lowest bits
    :rtype: np.ndarray
    """
    packed = cv2.cvtColor(frame, cv2.COLOR_RGB2RGBA).view(np.uint32)[..., 0]
    mask = (1 << bits) - 1
    code = (packed >> (8 - bits)) & mask
    for channel in (1, 2):
        code |= (packed >> ((8 - bits) * (channel + 1))) & (mask << (bits * channel))
    return code


def histogram(frames: np.ndarray, bits: int) -> tuple[np.ndarray, np.ndarray]:
    """
    The colours of some frames, gathered in cells.

    :param frames: uint8 [T, H, W, 3]
    :type frames: np.ndarray
    :param bits: bits kept of a channel
    :type bits: int
    :return: float32 [N, 3], the centre of each cell that has pixels, and float32 [N], how many
    :rtype: tuple[np.ndarray, np.ndarray]
    """
    counts = sum(
        np.bincount(codes(frame, bits).ravel(), minlength = 1 << 3 * bits) for frame in frames)
    occupied = np.flatnonzero(counts)
    return _centres(occupied, bits), counts[occupied].astype(np.float32)


def _centres(cells: np.ndarray, bits: int) -> np.ndarray:
    step = 1 << (8 - bits)
    channels = [(cells >> bits * channel) & ((1 << bits) - 1) for channel in range(3)]
    return np.stack(channels, 1).astype(np.float32) * step + (step - 1) / 2


def nearest(colours: np.ndarray, palette: np.ndarray) -> np.ndarray:
    """
    The palette entry nearest to each colour.

    :param colours: float32 [N, 3]
    :type colours: np.ndarray
    :param palette: float32 [K, 3]
    :type palette: np.ndarray
    :return: intp [N]
    :rtype: np.ndarray
    """
    found = [closeness.argmax(1) for closeness in _closeness(colours, palette)]
    return np.concatenate(found)


def _closeness(colours: np.ndarray, palette: np.ndarray) -> Iterator[np.ndarray]:
    """Half the squared distance, negated, but for a summand that is the same in a row."""
    half_square = (palette * palette).sum(1) / 2
    for start in range(0, len(colours), BATCH):
        closeness = colours[start:start + BATCH] @ palette.T
        closeness -= half_square
        yield closeness


def choose(colours: np.ndarray, counts: np.ndarray, size: int) -> np.ndarray:
    """
    The palette that fits a histogram best: boxes split where they vary most, then k-means.

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
    return np.unique(np.rint(refine(palette, colours, counts)), axis = 0)


def error(palette: np.ndarray, colours: np.ndarray, counts: np.ndarray) -> float:
    """
    How far pixels are from the entries that stand for them.

    :param palette: float32 [K, 3]
    :type palette: np.ndarray
    :param colours: float32 [N, 3]
    :type colours: np.ndarray
    :param counts: float32 [N], pixels of each colour
    :type counts: np.ndarray
    :return: mean square of the distance, the three channels added up
    :rtype: float
    """
    distances = ((colours - palette[nearest(colours, palette)])**2).sum(1)
    return float((distances * counts).sum() / counts.sum())


def refine(palette: np.ndarray, colours: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """
    Move the entries of a palette to the middle of the colours they stand for (Lloyd's k-means).

    :param palette: float32 [K, 3]
    :type palette: np.ndarray
    :param colours: float32 [N, 3]
    :type colours: np.ndarray
    :param counts: float32 [N], pixels of each colour
    :type counts: np.ndarray
    :return: float32 [K, 3]
    :rtype: np.ndarray
    """
    for _ in range(ROUNDS):
        chosen = nearest(colours, palette)
        pixels = np.bincount(chosen, counts, len(palette))
        sums = [np.bincount(chosen, counts * channel, len(palette)) for channel in colours.T]
        middle = (np.stack(sums, 1) / np.maximum(pixels, 1)[:, None]).astype(np.float32)
        palette = np.where(pixels[:, None] > 0, middle, palette)
    return palette


def _split(colours: np.ndarray, counts: np.ndarray, size: int) -> np.ndarray:
    """Cut the box with the greatest variance in two at its mean until there are enough."""

    def box(cells: np.ndarray) -> tuple:
        weights = counts[cells, None]
        mean = (weights * colours[cells]).sum(0) / weights.sum()
        variance = (weights * (colours[cells] - mean)**2).sum(0)
        return -float(variance.sum()), int(cells[0]), cells, mean, int(variance.argmax())

    boxes = [box(np.arange(len(colours)))]
    while len(boxes) < size and len(boxes[0][2]) > 1:
        _, _, cells, mean, axis = heapq.heappop(boxes)
        lower = colours[cells, axis] <= mean[axis]
        for part in (cells[lower], cells[~lower]):
            heapq.heappush(boxes, box(part))
    return np.stack([mean for *_, mean, _ in boxes]).astype(np.float32)


class Mapper:
    """
    Maps pixels to palette entries by a table over colour space, filled as colours turn up.

    :param palette: float32 [K, 3], K at most 255
    :type palette: np.ndarray
    :param tolerance: how much an alternative's squared error may exceed the nearest entry's
    :type tolerance: float
    """

    def __init__(self, palette: np.ndarray, tolerance: float):
        self.palette = palette
        self.tolerance = tolerance
        self._table = np.full((1 << 3 * FINE, ALTERNATIVES), 255, np.uint8)
        distances = ((palette[:, None] - palette)**2).sum(2)
        self._allowed = np.minimum(tolerance, NEARNESS * distances) / 2

    def alternatives(self, frame: np.ndarray) -> np.ndarray:
        """
        The entries that may stand for each pixel: the nearest first, then others hardly worse. Where there are
        fewer, the nearest is repeated.

        :param frame: uint8 [H, W, 3]
        :type frame: np.ndarray
        :return: uint8 [H, W, ALTERNATIVES]
        :rtype: np.ndarray
        """
        code = codes(frame, FINE)
        table = self._table.view(np.uint32)[:, 0]
        found = np.take(table, code, mode = 'clip')
        missing = found == UNKNOWN
        if missing.any():
            wanted = np.zeros(len(table), bool)
            wanted[code[missing]] = True
            self._fill(np.flatnonzero(wanted))
            np.take(table, code, mode = 'clip', out = found)
        return found.view(np.uint8).reshape(*code.shape, ALTERNATIVES)

    def _fill(self, cells: np.ndarray) -> None:
        start = 0
        for closeness in _closeness(_centres(cells, FINE), self.palette):
            rows = np.arange(len(closeness))
            entry = first = closeness.argmax(1)
            greatest, entries = closeness[rows, first], [first]
            for _ in range(ALTERNATIVES - 1):
                closeness[rows, entry] = -np.inf
                entry = closeness.argmax(1)
                loss = greatest - closeness[rows, entry]
                entries.append(np.where(loss <= self._allowed[first, entry], entry, first))
            self._table[cells[start:start + len(rows)]] = np.stack(entries, 1)
            start += len(rows)
