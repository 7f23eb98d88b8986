#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
Limits that a process sets itself before it opens an uploaded picture: memory, processor time, files and, with them,
the network. The limits are those that every Unix has (setrlimit); Windows has none of them.

Bindings of seccomp and Landlock for Python were considered and left out: one was last published in 2021 and needs a
library of the system's, the other is in development.

Libraries: none but the standard one.
"""

import logging
import math
import os
import sys
import time

if sys.platform != 'win32':
    import resource

logger = logging.getLogger(__name__)


def limit(kind: str, soft: int, hard: int | None = None) -> None:
    """
    Lower one limit, where the system has it.

    :param kind: as ``resource`` calls it, ``RLIMIT_AS`` for instance
    :type kind: str
    :param soft: the limit
    :type soft: int
    :param hard: what it may be raised to again; None leaves that as it is
    :type hard: int | None
    """
    if sys.platform == 'win32':
        return
    number = getattr(resource, kind, None)
    if number is None:
        return
    most = resource.getrlimit(number)[1]
    if hard is None:
        hard = most
    elif most != resource.RLIM_INFINITY:
        hard = min(hard, most)
    if hard != resource.RLIM_INFINITY:
        soft = min(soft, hard)
    try:
        resource.setrlimit(number, (soft, hard))
    except (ValueError, OSError) as error:
        # macOS refuses a limit of addresses below what it uses itself
        logger.debug('%s cannot be lowered here: %s', kind, error)


def limit_memory(size: int) -> None:
    """
    Let this process have so much memory.

    :param size: bytes of addresses
    :type size: int
    """
    limit('RLIMIT_AS', size)


def limit_time(seconds: float) -> None:
    """
    Let this process work so long from now on; the system ends it then.

    :param seconds: of processor time, on all processors together; whole ones count
    :type seconds: float
    """
    limit('RLIMIT_CPU', math.ceil(time.process_time() + seconds))


def close_files() -> None:
    """
    Let this process open nothing any more: no file, no connection, no program that needs a library. What is open
    stays, and what is written to files stays outside.
    """
    limit('RLIMIT_CORE', 0, 0)
    limit('RLIMIT_FSIZE', 0, 0)
    # a new file gets the lowest free number, so none is free below this one
    lowest = os.open(os.devnull, os.O_RDONLY)
    os.close(lowest)
    limit('RLIMIT_NOFILE', lowest, lowest)
