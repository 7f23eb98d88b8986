#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
The process in which uploaded pictures are opened: it takes calls on its standard input and answers on its standard
output, one after the other, until the program is gone. It has an environment without secrets, and opens nothing.

Libraries: those of the modules whose functions it calls.
"""

import importlib
import io
import os
import signal
import sys
from collections.abc import Callable, Mapping
from typing import Any, BinaryIO

from modules import errors, logs
from modules.photos.sandbox import messages, process_limits

#: seconds of processor time until a picture's size is known
SECONDS = 5


def main(memory: str, *names: str) -> None:
    """
    Serve calls.

    :param memory: bytes it may use
    :type memory: str
    :param names: modules whose functions may be called
    :type names: str
    """
    # signals that end the program are for the program, which ends this process in its own time
    for name in ('SIGINT', 'SIGHUP'):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    calls, answers, identity = sys.stdin.buffer, _answers(), None

    def report(kind: type[BaseException], error: BaseException, _trace: object) -> None:
        _send(answers, {'id': identity, 'fault': f'{kind.__name__}: {error}'[:200]})

    # what ended this process, for the log
    sys.excepthook = report
    # libraries' warnings about an uploaded picture are no news to anybody
    logs.start('error')
    known = {}
    for name in names:
        known[name] = importlib.import_module(name)
        known[name].prepare()
    process_limits.limit_memory(int(memory))
    process_limits.close_files()
    while (call := messages.read(calls, sys.maxsize)) is not None:
        head, content = call
        identity = head['id']
        name, _dot, function = head['function'].rpartition('.')
        found, made = answer(getattr(known[name], function), io.BytesIO(content), head['arguments'])
        _send(answers, {'id': identity, **found}, made)


def answer(function: Callable[..., tuple[dict, bytes]], upload: BinaryIO,
           arguments: list[Any]) -> tuple[Mapping[str, Any], bytes]:
    """
    Call a function.

    :param function: of one of the modules
    :type function: Callable[..., tuple[dict, bytes]]
    :param upload: the picture
    :type upload: BinaryIO
    :param arguments: what else it is given
    :type arguments: list[Any]
    :return: ``found``, ``refusal`` or ``fault``, and bytes
    :rtype: tuple[Mapping[str, Any], bytes]
    """
    process_limits.limit_time(SECONDS)
    try:
        found, content = function(upload, *arguments)
    except errors.Refusal as refusal:
        return {'refusal': refusal.to_dict()}, b''
    except MemoryError:
        return {'fault': 'MemoryError'}, b''
    return {'found': found}, content


def _send(answers: BinaryIO, head: Mapping[str, Any], content: bytes = b'') -> None:
    messages.write_head(answers, head, len(content))
    answers.write(content)
    answers.flush()


def _answers() -> BinaryIO:
    """Standard output, for answers alone: what libraries print is lost."""
    own, nothing = os.dup(1), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, 1)
    os.close(nothing)
    return os.fdopen(own, 'wb')


if __name__ == '__main__':
    main(*sys.argv[1:])
