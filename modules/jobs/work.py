#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
Runs a piece of work so that whatever is raised in it ends the job as done, cancelled or failed.

Libraries: none.
"""

import logging
import math
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from typing import TypeVar

from modules import errors

logger = logging.getLogger(__name__)

Result = TypeVar('Result')

#: seconds without a job after which nobody is thought to come in the next minute
IDLE_SECONDS = 30.0


def run_guarded(name: str, work: Callable[[], object]) -> tuple[str, errors.Refusal | None]:
    """
    Do some work.

    :param name: what the log calls it
    :type name: str
    :param work: anything
    :type work: Callable[[], object]
    :return: ``done``, ``cancelled`` or ``failed``, and why it failed
    :rtype: tuple[str, errors.Refusal | None]
    """
    try:
        work()
    except errors.Cancelled:
        return 'cancelled', None
    except errors.Refusal as refusal:
        return 'failed', refusal
    except MemoryError:
        logger.exception('%s ran out of memory', name)
        return 'failed', errors.OutOfMemory()
    except OSError as error:
        logger.exception('%s failed', name)
        is_disk = error.errno in errors.DISK_ERRORS
        return 'failed', errors.DiskFull() if is_disk else errors.EngineFailed()
    except Exception:  # noqa: BLE001
        logger.exception('%s failed', name)
        return 'failed', errors.EngineFailed()
    return 'done', None


class IdleWork:
    """What workers do while nobody waits. A program that ends does not wait for it."""

    def __init__(self):
        self._threads: set[threading.Thread] = set()

    def run(self, work: Callable[[], object]) -> None:
        """
        Do some work that may fail.

        :param work: anything
        :type work: Callable[[], object]
        """
        self._threads.add(threading.current_thread())
        run_guarded('Preparing', work)
        self._threads.discard(threading.current_thread())

    def join(self, worker: threading.Thread, patience: float = math.inf) -> None:
        """
        Wait until a worker has ended, or has nothing to do that matters.

        :param worker: a thread that is to end
        :type worker: threading.Thread
        :param patience: when to give up, by the monotonic clock
        :type patience: float
        """
        while worker.is_alive() and worker not in self._threads and time.monotonic() < patience:
            worker.join(0.05)


def run_interruptibly(name: str, work: Callable[[Callable[[], None]], Result]) -> Result:
    """
    Do some work for a person who may interrupt it. Whoever does so waits for the end of the step, so that nothing is
    written once the call has ended.

    :param name: what the log calls it
    :type name: str
    :param work: is given what it calls between its steps, which raises when it is no longer wanted
    :type work: Callable[[Callable[[], None]], Result]
    :return: what the work gives
    :rtype: Result
    :raises errors.Refusal: when it fails
    """
    unwanted, results = threading.Event(), []

    def stop_if_cancelled() -> None:
        if unwanted.is_set():
            raise errors.Cancelled

    with ThreadPoolExecutor(1) as pool:
        try:
            working = pool.submit(run_guarded, name,
                                  lambda: results.append(work(stop_if_cancelled)))
            # on Windows, Ctrl-C is noticed between waits only
            while not wait([working], timeout = 0.2).done:
                pass
        finally:
            unwanted.set()
    _state, refusal = working.result()
    if refusal:
        raise refusal
    return results[0]
