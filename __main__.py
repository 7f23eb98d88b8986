#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
The program: arguments → logs → configuration → one of the commands in :mod:`modules.commands`.

Libraries: none here.
"""

import importlib
import io
import logging
import os
import signal
import sys
import threading
from typing import NoReturn

from modules import configuration, i18n, logs, terminal
from modules.commands import arguments
from modules.configuration import spaces
from modules.engines.diffusion import allocator
from modules.install import installed_torch


def main() -> int:
    """
    Run what the command line asks for.

    :return: the exit code
    :rtype: int
    """
    # a stream may be closed on purpose; the next file to be opened must not take its place
    sys.stdout = sys.stdout or open(os.devnull, 'w', encoding = 'utf-8')  # noqa: SIM115, PTH123
    sys.stderr = sys.stderr or open(os.devnull, 'w', encoding = 'utf-8')  # noqa: SIM115, PTH123
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # a name the terminal has no letters for is no reason to stop
            stream.reconfigure(errors = 'replace')
    for number in terminal.stop_signals():
        if number != signal.SIGINT:
            signal.signal(number, lambda number, _frame: sys.exit(128 + number))
    try:
        given = arguments.parse(sys.argv[1:], i18n.of_this_machine())
        # processes that open strangers' pictures are told this list, and a token may stand in it
        del sys.argv[1:]
        return run(given)
    except KeyboardInterrupt:
        return 128 + signal.SIGINT


def run(given: arguments.Arguments) -> int:
    """
    Read the configuration and run the command.

    :param given: the command line
    :type given: arguments.Arguments
    :return: the exit code
    :rtype: int
    """
    language = i18n.of_this_machine()
    logs.start(given.logging_level)
    installed_torch.set_variables()
    allocator.prepare(os.environ, given.max_split_size_mb)
    path = given.config if given.config.is_file() else None
    try:
        options = configuration.read(path, given.overrides)
    except configuration.ConfigurationError as error:
        title = i18n.text('configuration.title', count = len(error.problems)).in_(language)
        problems = [f'  {problem.in_(language)}' for problem in error.problems]
        print(f'{given.config}', title, *problems, sep = '\n', file = sys.stderr)
        return 2
    command = importlib.import_module(f'modules.commands.{given.command}')
    return command.run(given, spaces.with_space_names(options, os.environ), language)


def end(code: int) -> NoReturn:
    """
    End the program, also while a library is at work in a thread, such as a compiler: it cannot be stopped, so Python
    would wait for it, or crash in it.

    :param code: the exit code
    :type code: int
    """
    if any(thread.name.startswith('worker ') for thread in threading.enumerate()):
        logging.shutdown()
        sys.stdout.flush()
        os._exit(code)
    raise SystemExit(code)


if __name__ == '__main__':
    end(main())
