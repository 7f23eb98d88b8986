#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
``animate`` with something that makes clips without an engine. Not a test itself.

Libraries: none but the standard one.
"""

from dataclasses import replace

from modules.clips.animator import Outcome
from modules.commands import animate, arguments


class Reader:

    def check(self, path):
        return None


class StandIn:
    """What makes clips, without an engine: writes one line, and remembers what it was asked for."""

    note = None

    def __init__(self):
        self.reader = Reader()
        self.engines = self
        self.preferred = 'auto'
        self.asked = []

    def with_defaults(self, request):
        return replace(request, engine = 'camera')

    def animate(self, request, path, control, *, created = None):
        self.asked.append((request, created))
        path.write_text(request.format)
        return Outcome(self.note)


def run(animator, *argv):
    return animate.animate(animator, arguments.parse(['animate', *map(str, argv)], 'en'), 'en')
