#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
What makes pictures move. Adding an engine: copy a sibling, add a line to :data:`TABLE`, copy its test, add its words.
One with a model that can be fetched also adds a line to :data:`modules.engines.models.MODELS`. One with options that
no other has declares them in ``options`` in its folder: ``SECTION`` is a dataclass of :func:`modules.option.option`.

Libraries: none; this file is read before anything is installed, for the names that the options and forms take.
"""

#: name → module and class (see :class:`modules.engines.contract.Engine`), in the order in which ``auto`` prefers them
TABLE = {
    'wan': ('modules.engines.wan.engine', 'Wan'),
    'svd': ('modules.engines.stable_video.engine', 'StableVideo'),
    'camera': ('modules.engines.camera.engine', 'CameraMotion'),
}
