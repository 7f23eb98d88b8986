#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
What a hostile picture might make a decoder do, as functions for a process of its own.

Libraries: none.
"""

import logging
import os
import signal
import time
import warnings

from modules import errors


def own_process():
    return os.getpid()


def slow_process(seconds):
    time.sleep(seconds)
    return os.getpid()


def crash():
    os.kill(os.getpid(), signal.SIGSEGV)


def run_away():
    while True:
        pass


def eat_memory():
    return len(bytearray(1 << 42))


def break_unexpectedly():
    raise ZeroDivisionError


def warn():
    warnings.warn('line\nERROR forged', stacklevel = 1)
    logging.getLogger('PIL').warning('line\nERROR forged')


def refuse():
    raise errors.TooManyPixels('file', pixels = 7, limit = 5)
