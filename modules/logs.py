#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
The one logging set-up.

Libraries: none but the standard one.
"""

import contextlib
import logging
import sys

LEVELS = ('debug', 'info', 'warning', 'error', 'critical')

#: libraries that log every step at the level a person wants for this program
CHATTY = ('PIL', 'filelock', 'httpx', 'httpx2', 'huggingface_hub', 'muxado', 'ngrok', 'rustls',
          'urllib3', 'waitress.queue')


class OneLine(logging.Formatter):
    """One record, one line, whatever a stranger's file name or header contained; tracebacks stay as they are."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802
        line = super().formatMessage(record)
        return ''.join(c if c.isprintable() else f'\\x{ord(c):02x}' for c in line)


class BesideBars(logging.StreamHandler):
    """Writes lines above progress bars: tqdm, where it shows one, moves it away."""

    def emit(self, record: logging.LogRecord) -> None:
        bars = sys.modules.get('tqdm')
        with bars.tqdm.external_write_mode(self.stream) if bars else contextlib.nullcontext():
            super().emit(record)


def start(level: str) -> None:
    """
    Send every log line to standard error, replacing whatever was set up before.

    :param level: one of :data:`LEVELS`, in any case
    :type level: str
    :raises ValueError: when the level is unknown
    """
    if level.lower() not in LEVELS:
        raise ValueError(level)
    handler = BesideBars(sys.stderr)
    handler.setFormatter(OneLine('%(asctime)s %(levelname)-7s %(message)s', '%H:%M:%S'))
    logging.basicConfig(level = level.upper(), handlers = [handler], force = True)
    logging.captureWarnings(True)
    for name in CHATTY:
        logging.getLogger(name).setLevel(max(logging.WARNING, logging.getLogger().level))
