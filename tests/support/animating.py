#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
The command ``animate`` in this process.

Libraries: none but the program's.
"""

from modules import configuration
from modules.clips.animator import Animator
from modules.commands import animate, arguments
from modules.engines.registry import Engines
from modules.photos.reader import PhotoReader


def run_animate(folder, ini, *argv):
    """What ``animate`` does under an INI."""
    config = folder / 'used.ini'
    config.write_text(ini)
    found = arguments.parse(['animate', '--config', str(config), *map(str, argv)], 'en')
    options = configuration.read(found.config, found.overrides)
    animator = Animator(options, PhotoReader(options.web.max_pixels), Engines(options))
    assert animate.animate(animator, found, 'en') == 0
