#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
The server with Wan in small as a program of its own, which a test can kill.

Libraries: torch, diffusers, transformers, tiny_wan.
"""

import contextlib
import dataclasses
import os
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / 'tests' / 'support')]

import forks  # noqa: E402

from modules.engines.wan.engine import Wan  # noqa: E402


class Gated(Wan):
    """Waits after its second step until a file is there."""

    def animate(self, photo, request, control):

        def report(progress):
            control.report(progress)
            while (progress.phase, progress.step) == ('step',
                                                      2) and not Path(os.environ['GATE']).exists():
                time.sleep(0.01)

        return super().animate(photo, request, dataclasses.replace(control, report = report))


def load():
    """Import what :func:`main` needs."""
    import diffusers
    import ftfy  # noqa: F401
    import tiny_wan  # noqa: F401
    import transformers

    import app  # noqa: F401
    import modules.web.server  # noqa: F401
    # they come when they are asked for
    for library, name in ((diffusers, 'WanImageToVideoPipeline'), (transformers,
                                                                   'UMT5EncoderModel')):
        getattr(library, name)


def main(folder, home):
    """Serve until killed; the port is the first line."""
    import tiny_wan

    from app import create_app
    from modules import logs
    from modules.configuration import WebOptions
    from modules.engines.registry import Engines
    from modules.web.server import Server
    logs.start('info')
    made = tiny_wan.configured(Path(folder), Path(home), engine = 'wan')
    options = dataclasses.replace(made, web = WebOptions(port = 0))
    engines = Engines(options, {'wan': (Gated.__module__, 'Gated')})
    app = create_app(options, Path(home) / 'outputs', engines = engines)
    server = Server(app, options.web, 24)
    print(server.port, flush = True)  # noqa: T201
    server.run(app.extensions['services'].queue.close)
    app.extensions['services'].close()


@contextlib.contextmanager
def served(folder, home):
    """The program, whose gate is a file in its home; process and port. Whatever became of it, it is gone afterwards."""
    with (home / 'log').open('a') as log:
        environment = {**os.environ, 'GATE': str(home / 'gate')}
        process = forks.start(__file__, str(folder), str(home), stderr = log, env = environment)
    try:
        yield process, int(process.stdout.readline())
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


if __name__ == '__main__':
    main(*sys.argv[1:])
