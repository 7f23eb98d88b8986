#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
Which signals end the program in order.

Libraries: none but the standard one.
"""

import signal

#: when the terminal is closed; Windows has no such signal
HANG_UP = getattr(signal, 'SIGHUP', None)


def endings() -> list[int]:
    """
    Signals that ask for an end in order.

    :return: SIGINT and SIGTERM; SIGHUP too, unless whoever started the program had it ignored, as ``nohup`` does
    :rtype: list[int]
    """
    found = [signal.SIGINT, signal.SIGTERM]
    if HANG_UP is not None and signal.getsignal(HANG_UP) != signal.SIG_IGN:
        found.append(HANG_UP)
    return found
