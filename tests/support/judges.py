#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
Programs, not ours, that say what is in a file.

Libraries: pytest, numpy, Pillow.
"""

import contextlib
import functools
import json
import os
import shutil
import subprocess
import tempfile

import numpy
import pytest
from PIL import Image, ImageFilter


class _Waiting:
    """An exiftool that waits for the next file: most of its time it takes to start."""

    def __init__(self, said):
        self.said = said
        self.process = subprocess.Popen(['exiftool', '-stay_open', 'True', '-@', '-'],
                                        stdin = subprocess.PIPE,
                                        stdout = subprocess.PIPE,
                                        stderr = said)

    def run(self, *arguments):
        """What a run of its own with these arguments would give."""
        begun = os.fstat(self.said.fileno()).st_size
        lines = [*map(str, arguments), '-echo3', '{status ${status}}', '-execute']
        self.process.stdin.write('\n'.join([*lines, '']).encode())
        self.process.stdin.flush()
        output = b''
        while not output.endswith(b'}\n{ready}\n'):
            some = os.read(self.process.stdout.fileno(), 1 << 16)
            assert some, 'exiftool has ended'
            output += some
        output, _, status = output.rpartition(b'{status ')
        errors = os.pread(self.said.fileno(), 1 << 20, begun)
        return subprocess.CompletedProcess(['exiftool', *arguments], int(status.split(b'}')[0]),
                                           output, errors)

    def end(self):
        """Wait until it has gone."""
        self.process.communicate(b'-stay_open\nFalse\n')


#: the one that is asked, where a file of tests has one
_waiting = []


@contextlib.contextmanager
def exiftool_waiting():
    """One exiftool for all that is asked of it meanwhile."""
    if not shutil.which('exiftool'):
        yield
        return
    with tempfile.TemporaryFile() as said:
        _waiting.append(_Waiting(said))
        try:
            yield
        finally:
            _waiting.pop().end()


def run(*command):
    """A program that ran well; a test is left out where the program is missing."""
    if not shutil.which(str(command[0])):
        pytest.skip(f'{command[0]} is not installed')
    if command[0] == 'exiftool' and _waiting:
        done = _waiting[-1].run(*command[1:])
    else:
        done = subprocess.run(command, capture_output = True, check = False)
    assert done.returncode == 0, done.stderr.decode()
    return done


def output_of(*command):
    """What a program writes."""
    return run(*command).stdout


def warnings_of(*command):
    """What a program writes about what it does not like."""
    return run(*command).stderr


def exiftool(path, *options):
    """Group:tag → value; groups as exiftool names the places where it found them."""
    return json.loads(output_of('exiftool', '-json', '-a', '-G1', '-n', *options, path))[0]


def streams(path):
    return json.loads(output_of('ffprobe', '-v', 'error', '-show_streams', '-of', 'json',
                                path))['streams']


def decoded(path, height, width):
    """Every frame of a video, uint8 [T, H, W, 3], read as BT.709."""
    form = ['-vf', 'scale=in_color_matrix=bt709:in_range=tv:flags=accurate_rnd', '-f', 'rawvideo']
    raw = output_of('ffmpeg', '-v', 'error', '-i', path, *form, '-pix_fmt', 'rgb24', '-')
    return numpy.frombuffer(raw, numpy.uint8).reshape(-1, height, width, 3)


def psnr(one, other):
    return 10 * numpy.log10(255**2 / max(1e-9, numpy.mean((one.astype(float) - other)**2)))


def scenery(width, height):
    """A picture with soft shapes of all sizes, in which every shift shows."""
    return _scenery(width, height).copy()


@functools.cache
def _scenery(width, height):
    chance = numpy.random.default_rng(5)
    layers = [
        Image.fromarray(
            chance.integers(0, 256, (height // cell + 2, width // cell + 2, 3), 'uint8')).resize(
                (width, height), Image.Resampling.BICUBIC) for cell in (6, 16, 40)
    ]
    mixed = numpy.mean([numpy.asarray(layer, float) for layer in layers], 0)
    return Image.fromarray(mixed.astype('uint8')).filter(ImageFilter.GaussianBlur(1))


def drift(count, width = 160, height = 96):
    """Frames that slide over such a picture."""
    wide = numpy.asarray(scenery(width + 8 * count, height))
    return numpy.stack([wide[:, 8 * i:8 * i + width] for i in range(count)])
