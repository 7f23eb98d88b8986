#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
What a hostile picture might make a decoder do, as functions for a process of its own.

Libraries: none.
"""

import contextlib
import errno
import logging
import os
import pickle
import signal
import socket
import subprocess
import sys
import time
import warnings
from pathlib import Path

from modules import errors
from modules.photos.sandbox import messages


def prepare():
    """Nothing is loaded by need."""


def own_process(_upload):
    return {'process': os.getpid()}, b''


def slow_process(_upload, seconds):
    time.sleep(seconds)
    return {'process': os.getpid()}, b''


def crash(_upload):
    os.kill(os.getpid(), signal.SIGSEGV)


def run_away(_upload):
    while True:
        pass


def eat_memory(_upload):
    return {'length': len(bytearray(1 << 42))}, b''


def break_unexpectedly(_upload):
    raise ZeroDivisionError('line\nERROR forged')


def warn(_upload):
    warnings.warn('line\nERROR forged', stacklevel = 1)
    logging.getLogger('PIL').warning('line\nERROR forged')
    os.write(1, b'what a library prints')
    return {}, b''


def refuse(_upload):
    raise errors.TooManyPixels('file', pixels = 7, limit = 5)


def echo(_upload, words):
    return {'words': words}, b''


def answer_falsely(_upload, head, content = ''):
    """What a process might write that somebody has taken over; nothing of it is an answer."""
    answers = _answers()
    messages.write_head(answers, head, len(content))
    answers.write(content.encode())
    answers.flush()
    time.sleep(60)


def answer_raw(_upload, words):
    answers = _answers()
    answers.write(bytes.fromhex(words))
    answers.flush()
    time.sleep(60)


def _answers():
    """Where answers go: the highest file that is open."""
    return os.fdopen(max(_open_files()), 'wb', closefd = False)


def _open_files():
    for number in range(100):
        with contextlib.suppress(OSError):
            os.fstat(number)
            yield number


class Trap:
    """Runs something where it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (Path(self.path), )


def pickled(path):
    """A whole answer as the pickles of Python's own connections are framed."""
    words = pickle.dumps((Trap(path), None))
    return (len(words).to_bytes(4, 'big') + words).hex()


def look_around(_upload, file, port):
    """What a process that was taken over can reach."""
    reached = []
    for name, attempt in {
            'read a file': lambda: Path(file).read_bytes(),
            'write a file': lambda: Path(file).with_name('written').write_bytes(b'x'),
            'connect': lambda: socket.create_connection(('127.0.0.1', port), 5),
            'run a program': lambda: subprocess.run([sys.executable, '-c', ''], check = True),
    }.items():
        try:
            attempt()
        except OSError as error:
            assert error.errno in (errno.EMFILE, errno.EFBIG), error
        else:
            reached.append(name)
    return {'reached': reached, 'environment': dict(os.environ)}, b''
