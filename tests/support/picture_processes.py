#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
Picture processes that outlive the app of a test: starting one takes longer than most tests do. The app that comes next
takes over those that are well and at rest; each of them answers one call after the other, as in the program, and knows
nothing of the call before.

Libraries: none but the standard one.
"""

import atexit
import contextlib
import queue
from collections import defaultdict
from contextlib import contextmanager

#: (memory, largest answer, modules) → processes at rest
_AT_REST = defaultdict(list)


@contextmanager
def lent(sandbox):
    """Give a sandbox the processes that are at rest, and take over those that it leaves at rest."""
    limits = _limits(sandbox)
    at_rest = _AT_REST[limits]
    while at_rest:
        sandbox._free.put(at_rest.pop())
    try:
        yield
    finally:
        # a test may have changed them, and then they are not those of all its processes
        if _limits(sandbox) == limits:
            for line in (sandbox._free, sandbox._extra):
                with contextlib.suppress(queue.Empty):
                    while True:
                        at_rest.append(line.get_nowait())


def _limits(sandbox):
    return sandbox.memory, sandbox.max_answer, tuple(sandbox.modules)


@atexit.register
def _end():
    for at_rest in _AT_REST.values():
        for child in at_rest:
            child.end()
