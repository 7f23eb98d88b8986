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
from contextlib import contextmanager
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
    A bar for one job, gone when the job is; nothing where no person looks.

    :param name: what stands before the bar
    :type name: str
    :param is_shown: False for no bar at all
    :type is_shown: bool
    :param language: of the words; None takes this machine's
    :type language: str | None
    :param file: where a person looks although it is no terminal
    :type file: TextIO | None
    :yield: moves the bar
    :ytype: Callable[[Progress], None]
    """
    language = language or i18n.of_this_machine()
    # None leaves it to whether a terminal is there
    disable = (False if file else None) if is_shown else True
    with tqdm.tqdm(desc = name, unit = '', leave = False, disable = disable, file = file) as bar:

        def move(progress: Progress) -> None:
            if progress.phase == 'step':
                bar.total, bar.n = progress.steps, progress.step
            bar.set_postfix_str(i18n.text(f'progress.{progress.phase}').in_(language))

        yield move


@contextmanager
def count(total: int) -> Iterator[Callable[[], object]]:
    """
    A bar that counts photos, above the bars of the single ones; nothing for one photo or where no person looks.

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


class Unheard(Exception):  # noqa: N818
    """
    What is said can be written nowhere.

    :param file: standard output or standard error
    :type file: TextIO
    :param reason: what the system says
    :type reason: OSError
    """

    def __init__(self, file: TextIO, reason: OSError):
        super().__init__(reason)
        self.file, self.reason = file, reason


def fall_silent(unheard: Unheard, language: str) -> None:
    """
    Write nothing more where nobody reads, as behind ``| head``; tell of anything else, such as a full disk.

    :param unheard: what happened
    :type unheard: Unheard
    :param language: of what is said
    :type language: str
    """
    # Python itself writes once more when it ends
    os.dup2(os.open(os.devnull, os.O_WRONLY), unheard.file.fileno())
    if unheard.file is not sys.stderr and unheard.reason.errno != errno.EPIPE:
        reason = unheard.reason.strerror or unheard.reason
        words = i18n.text('cli.unheard', reason = reason)
        sys.stderr.write(words.in_(language) + '\n')


def say(words: object, file: TextIO) -> None:
    """
    Write a line without tearing the bars apart.

    :param words: the line
    :type words: object
    :param file: standard output or standard error
    :type file: TextIO
    :raises Unheard: when it cannot be written
    """
    try:
        tqdm.tqdm.write(str(words), file = file)
        file.flush()
    except OSError as error:
        raise Unheard(file, error) from error
