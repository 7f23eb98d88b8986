#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
Progress bars in the terminal, words beside them, and the signals that end the program.

Libraries: tqdm.
"""

import errno
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TextIO

import tqdm

from modules import i18n
from modules.progress import Progress

#: when the terminal is closed; Windows has no such signal
HANG_UP: int | None = getattr(signal, 'SIGHUP', None)


def stop_signals() -> list[int]:
    """
    List the signals that ask for an end in order.

    :return: SIGINT and SIGTERM; SIGHUP too, unless whoever started the program had it ignored, as ``nohup`` does
    :rtype: list[int]
    """
    found: list[int] = [signal.SIGINT, signal.SIGTERM]
    if HANG_UP is not None and signal.getsignal(HANG_UP) != signal.SIG_IGN:
        found.append(HANG_UP)
    return found


@contextmanager
def progress_bar(name: str,
                 is_shown: bool,
                 *,
                 language: str | None = None,
                 file: TextIO | None = None) -> Iterator[Callable[[Progress], None]]:
    """
    Show a bar for one job, gone when the job is; nothing where there is no terminal.

    :param name: what stands before the bar
    :type name: str
    :param is_shown: False for no bar at all
    :type is_shown: bool
    :param language: of the words; None takes this machine's
    :type language: str | None
    :param file: what a person reads although it is no terminal
    :type file: TextIO | None
    :yield: moves the bar
    :ytype: Callable[[Progress], None]
    """
    language = language or i18n.of_this_machine()
    # tqdm takes None for "only in a terminal"
    disable = (False if file else None) if is_shown else True
    with tqdm.tqdm(desc = name, unit = '', leave = False, disable = disable, file = file) as bar:

        def move(progress: Progress) -> None:
            if progress.phase in ('step', 'writing'):
                bar.total, bar.n = progress.steps, progress.step
            bar.set_postfix_str(i18n.text(f'progress.{progress.phase}').in_(language))

        yield move


@contextmanager
def photo_bar(total: int) -> Iterator[Callable[[], object]]:
    """
    Show a bar that counts photos, above the bars of the single ones; nothing for one photo or without a terminal.

    :param total: how many there are
    :type total: int
    :yield: counts one more
    :ytype: Callable[[], object]
    """
    with tqdm.tqdm(
            total = total,
            leave = False,
            mininterval = 0,
            bar_format = '{n_fmt}/{total_fmt} |{bar}| {elapsed}',
            disable = None if total > 1 else True) as bar:
        yield bar.update


class OutputFailed(Exception):  # noqa: N818
    """
    Standard output or standard error cannot be written.

    :param file: which of them
    :type file: TextIO
    :param reason: what the system says
    :type reason: OSError
    """

    def __init__(self, file: TextIO, reason: OSError):
        super().__init__(reason)
        self.file, self.reason = file, reason


def close_output(failure: OutputFailed, language: str) -> None:
    """
    Write nothing more where nobody reads, as behind ``| head``; explain anything else, such as a full disk.

    :param failure: what happened
    :type failure: OutputFailed
    :param language: of the explanation
    :type language: str
    """
    # Python itself writes once more when it ends
    os.dup2(os.open(os.devnull, os.O_WRONLY), failure.file.fileno())
    if failure.file is not sys.stderr and failure.reason.errno != errno.EPIPE:
        reason = failure.reason.strerror or failure.reason
        words = i18n.text('cli.output_failed', reason = reason)
        sys.stderr.write(words.in_(language) + '\n')


def write_line(words: object, file: TextIO) -> None:
    """
    Write a line without tearing progress bars apart.

    :param words: the line
    :type words: object
    :param file: standard output or standard error
    :type file: TextIO
    :raises OutputFailed: when it cannot be written
    """
    try:
        tqdm.tqdm.write(str(words), file = file)
        file.flush()
    except OSError as error:
        raise OutputFailed(file, error) from error


def print_text(words: i18n.Text, language: str, file: TextIO | None = None) -> None:
    """
    Print a sentence for the person at the terminal; that nobody reads it is no reason to stop.

    :param words: the sentence
    :type words: i18n.Text
    :param language: the person's
    :type language: str
    :param file: standard output; None is standard error
    :type file: TextIO | None
    """
    with suppress(OutputFailed):
        write_line(words.in_(language), file or sys.stderr)
