#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
What becomes of a piece of work: whatever happens in it, it ends, and its end has a name.

Libraries: none.
"""

import logging
from collections.abc import Callable

from modules import errors

logger = logging.getLogger(__name__)


def outcome(name: str, work: Callable[[], object]) -> tuple[str, errors.Refusal | None]:
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
