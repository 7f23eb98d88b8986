#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
What ``tests/test_fuzz.py`` tries for seconds, for minutes: damaged pictures of every format, strange parameters, bodies
and heads. The first thing that should not be ends it, and is shown as small as hypothesis can make it.

    python bench/fuzz.py [MINUTES]

Libraries: hypothesis, Pillow, pillow-heif.
"""

import contextlib
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / 'tests' / 'support')]

import fuzzing  # noqa: E402
import program  # noqa: E402
import stand_ins  # noqa: E402
from hypothesis import HealthCheck, given, settings  # noqa: E402
from hypothesis import strategies as some  # noqa: E402

from app import create_app  # noqa: E402
from modules import errors  # noqa: E402
from modules.configuration import Configuration, WebOptions  # noqa: E402
from modules.engines.registry import Engines  # noqa: E402
from modules.photos.sandbox.sandbox import Sandbox  # noqa: E402
from modules.request import parse_request  # noqa: E402

#: examples between two looks at the clock, and parts of the time that each kind gets
ROUND = 500
SHARES = {'pictures': 0.5, 'parameters': 0.05, 'drawings': 0.1, 'bodies': 0.2, 'heads': 0.15}


def until(end: float, values: some.SearchStrategy, check: Callable[[object], object]) -> int:
    """
    Try one example after the other.

    :param end: when to stop, by the monotonic clock
    :type end: float
    :param values: what is tried
    :type values: some.SearchStrategy
    :param check: raises when something is wrong
    :type check: Callable[[object], object]
    :return: how many were tried
    :rtype: int
    """
    tried = 0

    @settings(
        max_examples = ROUND,
        deadline = None,
        database = None,
        suppress_health_check = list(HealthCheck))
    @given(values)
    def attempt(value: object) -> None:
        nonlocal tried
        if time.monotonic() < end:
            tried += 1
            check(value)

    while time.monotonic() < end:
        attempt()
    return tried


def parse(fields: list[tuple[str, str]]) -> None:
    """
    Read a form.

    :param fields: names and values
    :type fields: list[tuple[str, str]]
    """
    with contextlib.suppress(errors.BadRequest):
        parse_request(fields, Path('upload'), 'photo')


def main(minutes: float = 10) -> None:
    """
    Try everything and print how much was tried.

    :param minutes: in total
    :type minutes: float
    """
    options = Configuration(web = WebOptions(port = 0))
    engines = Engines(options, stand_ins.table(camera = 'Instant'))
    sandbox = Sandbox(fuzzing.MAX_PIXELS)
    with tempfile.TemporaryDirectory() as home:
        app = create_app(options, Path(home), engines = engines)
        with program.served(app, options.web) as port:
            program.ready(port)
            kinds = {
                'pictures': (fuzzing.damaged(fuzzing.originals()),
                             lambda content: fuzzing.check_picture(sandbox, content)),
                'parameters': (some.lists(some.tuples(fuzzing.NAMES, fuzzing.VALUES)), parse),
                'drawings': (fuzzing.DRAWINGS, lambda drawn: parse([('flow', drawn)])),
                'bodies':
                (fuzzing.BODIES, lambda body: fuzzing.check_request(port, fuzzing.posted(body))),
                'heads': (fuzzing.HEADS, lambda head: fuzzing.check_request(port, head)),
            }
            for name, (values, check) in kinds.items():
                end = time.monotonic() + 60 * minutes * SHARES[name]
                print(f'{name:12}{until(end, values, check):8} tried, nothing found', flush = True)
    sandbox.close()


if __name__ == '__main__':
    main(*[float(argument) for argument in sys.argv[1:2]])
