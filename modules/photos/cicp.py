#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
Colours that are given without an ICC profile: by code points (Recommendation ITU-T H.273: ``cICP`` in PNG, ``nclx`` in
AVIF and HEIF) or by numbers (``gAMA`` and ``cHRM`` in PNG) → sRGB, by tone mapping where the dynamic range is high.

Libraries: numpy, Pillow.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy
from PIL import Image

#: x and y of red, green, blue and white, by H.273's numbers
PRIMARIES = {
    1: (.640, .330, .300, .600, .150, .060, .3127, .3290),
    4: (.670, .330, .210, .710, .140, .080, .3100, .3160),
    5: (.640, .330, .290, .600, .150, .060, .3127, .3290),
    6: (.630, .340, .310, .595, .155, .070, .3127, .3290),
    7: (.630, .340, .310, .595, .155, .070, .3127, .3290),
    8: (.681, .319, .243, .692, .145, .049, .3100, .3160),
    9: (.708, .292, .170, .797, .131, .046, .3127, .3290),
    10: (1.0, .0, .0, 1.0, .0, .0, 1 / 3, 1 / 3),
    11: (.680, .320, .265, .690, .150, .060, .3140, .3510),
    12: (.680, .320, .265, .690, .150, .060, .3127, .3290),
    22: (.630, .340, .295, .605, .155, .077, .3127, .3290),
}
BT709, BT2020 = PRIMARIES[1], PRIMARIES[9]
SRGB, PQ, HLG = 13, 16, 18

#: cd/m² of white paper in a picture of high dynamic range, and of the brightest light where none is given (BT.2408)
WHITE, BRIGHTEST = 203, 1000
#: twice the area of a triangle of primaries; that of sRGB is 0.22
LEAST_AREA = 1e-4
#: how far the shoulder of the tone curve stays straight (SMPTE ST 2094-50)
SHOULDER = 0.65
#: cones of the eye (Bradford), in which one white becomes another
CONES = numpy.array([[.8951, .2664, -.1614], [-.7502, 1.7135, .0367], [.0389, -.0685, 1.0296]])
#: x and y of the white of L*a*b*
D50 = (.3457, .3585)
#: how much each colour of BT.2020 adds to luminance
LUMINANCE = numpy.array([.2627, .6780, .0593], numpy.float32)
#: pixels converted at once: so few that they stay in the processor's cache and on one of its cores
BLOCK = 1 << 14


@dataclass(frozen = True)
class Encoding:
    """How a picture's numbers stand for colours."""

    #: x and y of red, green, blue and white
    primaries: tuple[float, ...] = BT709
    #: H.273's number; None: a power of ``gamma``
    transfer: int | None = SRGB
    gamma: float = 1.0
    #: cd/m² of the brightest light in it, for PQ
    brightest: float = BRIGHTEST

    @property
    def is_srgb(self) -> bool:
        """Whether there is nothing to convert."""
        return self.primaries == BT709 and self.transfer == SRGB


def find_coded_encoding(primaries: int, transfer: int, brightest: float = 0) -> Encoding | None:
    """
    Find what H.273's numbers stand for; "unspecified" is taken for sRGB.

    :param primaries: ``ColourPrimaries``
    :type primaries: int
    :param transfer: ``TransferCharacteristics``
    :type transfer: int
    :param brightest: cd/m² of the brightest light in it; 0 where it is not given
    :type brightest: float
    :return: the encoding; None where the numbers are reserved, or stand for what no picture uses
    :rtype: Encoding | None
    """
    corners = BT709 if primaries == 2 else PRIMARIES.get(primaries)
    curve = SRGB if transfer == 2 else transfer
    if not corners or curve not in (*CURVES, PQ, HLG):
        return None
    return Encoding(corners, curve, brightest = max(brightest, WHITE) if brightest else BRIGHTEST)


def are_valid_primaries(primaries: tuple[float, ...]) -> bool:
    """
    Decide whether numbers of a file can be primaries.

    :param primaries: x and y of red, green, blue and white
    :type primaries: tuple[float, ...]
    :return: whether the colours are the corners of a triangle, and nothing is without light
    :rtype: bool
    """
    red_x, red_y, green_x, green_y, blue_x, blue_y = primaries[:6]
    area = (green_x - red_x) * (blue_y - red_y) - (blue_x - red_x) * (green_y - red_y)
    return min(primaries[1::2]) > 0 and abs(area) > LEAST_AREA


def to_srgb(image: Image.Image, encoding: Encoding) -> Image.Image:
    """
    Convert a picture.

    :param image: RGB, 8 bits
    :type image: Image.Image
    :param encoding: what its numbers stand for
    :type encoding: Encoding
    :return: the same in sRGB; colours beyond it are cut off, light beyond white is brought below it
    :rtype: Image.Image
    """
    pixels, convert = numpy.asarray(image), _make_converter(encoding)
    result = numpy.empty_like(pixels)
    before, after = pixels.reshape(-1, 3), result.reshape(-1, 3)
    for start in range(0, len(before), BLOCK):
        after[start:start + BLOCK] = convert(before[start:start + BLOCK])
    return Image.fromarray(result)


def from_lab(light: numpy.ndarray, a: numpy.ndarray, b: numpy.ndarray) -> numpy.ndarray:
    """
    Convert L*a*b* of D50.

    :param light: L*, 0–100
    :type light: numpy.ndarray
    :param a: a*, about -128 to 127
    :type a: numpy.ndarray
    :param b: b*, likewise
    :type b: numpy.ndarray
    :return: sRGB, uint8, with three channels at the end
    :rtype: numpy.ndarray
    """
    y = (light + 16) / 116
    root = numpy.stack([y + a / 500, y, y - b / 200], -1)
    white = numpy.array([D50[0], D50[1], 1 - D50[0] - D50[1]]) / D50[1]
    xyz = numpy.where(root > 6 / 29, root**3, 3 * (6 / 29)**2 * (root - 4 / 29)) * white
    linear = numpy.clip(xyz @ _xyz_matrix(white), 0, 1)
    return (255 * _encode_srgb(linear) + 0.5).astype(numpy.uint8)


def _xyz_matrix(white: numpy.ndarray) -> numpy.ndarray:
    """Make the matrix, to be multiplied from the right, from XYZ of a white to BT.709."""
    to_xyz = _primaries_to_xyz(BT709)
    adapted = numpy.linalg.inv(CONES) @ numpy.diag(
        (CONES @ to_xyz.sum(1)) / (CONES @ white)) @ CONES
    return (numpy.linalg.inv(to_xyz) @ adapted).T


def _make_converter(encoding: Encoding) -> Callable[[numpy.ndarray], numpy.ndarray]:
    """Make the function that turns uint8 [N, 3] into sRGB, uint8 [N, 3]."""
    steps = numpy.arange(256, dtype = numpy.float64) / 255
    is_high = encoding.transfer in (PQ, HLG)
    table = _decode_signal(encoding, steps).astype(numpy.float32)
    matrix = _primaries_matrix(encoding.primaries, BT2020 if is_high else BT709)
    narrow = _primaries_matrix(BT2020, BT709)
    levels = (255 * _encode_srgb(numpy.arange(65536) / 65535) + 0.5).astype(numpy.uint8)

    def convert(pixels: numpy.ndarray) -> numpy.ndarray:
        light = table[pixels] @ matrix
        if is_high:
            light = _map_tones(
                _show_hlg(light) if encoding.transfer == HLG else light,
                encoding.brightest) @ narrow
        return levels[(numpy.clip(light, 0, 1) * 65535 + 0.5).astype(numpy.uint16)]

    return convert


def _primaries_matrix(source: tuple[float, ...], target: tuple[float, ...]) -> numpy.ndarray:
    """Make the matrix, to be multiplied from the right, from one set of primaries to another."""
    source_xyz, target_xyz = _primaries_to_xyz(source), _primaries_to_xyz(target)
    eye, white = CONES @ source_xyz.sum(1), CONES @ target_xyz.sum(1)
    adapted = numpy.linalg.inv(CONES) @ numpy.diag(white / eye) @ CONES
    return (numpy.linalg.inv(target_xyz) @ adapted @ source_xyz).T.astype(numpy.float32)


def _primaries_to_xyz(primaries: tuple[float, ...]) -> numpy.ndarray:
    """Make the matrix from primaries to XYZ; its columns red, green and blue together are white."""
    x, y = numpy.reshape(primaries, (4, 2)).T
    corners = numpy.stack([x, y, 1 - x - y])[:, :3]
    white = numpy.array([x[3], y[3], 1 - x[3] - y[3]]) / y[3]
    return corners * numpy.linalg.solve(corners, white)


def _decode_signal(encoding: Encoding, value: numpy.ndarray) -> numpy.ndarray:
    """Turn a signal into linear light, 1 for white; that of HLG into scene light, 1 for the brightest."""
    if encoding.transfer is None:
        return value**encoding.gamma
    if encoding.transfer == PQ:
        # SMPTE ST 2084
        root = value**(32 / 2523)
        part = numpy.maximum(root - 3424 / 4096, 0) / (2413 / 128 - 2392 / 128 * root)
        return part**(16384 / 2610) * 10000 / WHITE
    if encoding.transfer == HLG:
        # ARIB STD-B67
        return numpy.where(value <= .5, value**2 / 3, (numpy.exp(
            (value - .55991073) / .17883277) + .28466892) / 12)
    return CURVES[encoding.transfer](value)


def _show_hlg(scene: numpy.ndarray) -> numpy.ndarray:
    """Turn HLG's scene light into that of a display of 1000 cd/m² (BT.2100), 1 for white."""
    bright = numpy.maximum(scene @ LUMINANCE, 0)**numpy.float32(.2)
    scene *= (bright * numpy.float32(BRIGHTEST / WHITE))[:, None]
    return scene


def _map_tones(light: numpy.ndarray, brightest: float) -> numpy.ndarray:
    """
    Bring light of a high dynamic range, white paper being 1, into a standard one: the reference tone mapping of SMPTE
    ST 2094-50, in BT.2020, as browsers do. Below white it is a straight line, above it a quadratic Bézier curve.
    """
    top = numpy.float32(brightest / WHITE)
    if top <= 1:
        return light
    paper = numpy.float32(1 - .5 * min(math.log(top) / math.log(BRIGHTEST / WHITE), 1))
    middle = (1 - SHOULDER) + SHOULDER / paper
    knee = (1 - SHOULDER) * paper + SHOULDER
    highest = numpy.maximum(numpy.maximum(light[:, 0], light[:, 1]), light[:, 2])
    gain = numpy.full_like(highest, paper)
    is_beyond = highest > 1
    above = highest[is_beyond]
    beyond = numpy.minimum(above, top) - 1
    a, b = 1 - 2 * middle + top, 2 * (middle - 1)
    t = 2 * beyond / (b + numpy.sqrt(b * b + 4 * a * beyond) + 1e-9)
    gain[is_beyond] = (((paper - 2 * knee + 1) * t + 2 * (knee - paper)) * t + paper) / above
    light *= gain[:, None]
    return light


def _encode_srgb(light: numpy.ndarray) -> numpy.ndarray:
    return numpy.where(light <= .0031308, 12.92 * light, 1.055 * light**(1 / 2.4) - .055)


def _power_curve(gamma: float) -> Callable[[numpy.ndarray], numpy.ndarray]:
    return lambda value: value**gamma


#: light of a signal, by H.273's numbers; of the cameras' curves, that of the displays they are made for (BT.1886)
CURVES = {
    **dict.fromkeys((1, 6, 14, 15), _power_curve(2.4)),
    4: _power_curve(2.2),
    5: _power_curve(2.8),
    7: lambda v: numpy.where(v < .0913, v / 4, ((v + .1115) / 1.1115)**(1 / .45)),
    8: _power_curve(1.0),
    SRGB: lambda v: numpy.where(v <= .04045, v / 12.92, ((v + .055) / 1.055)**2.4),
    17: lambda v: v**2.6 * 52.37 / 48,
}
