#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
The models that engines can use, each described in its engine's folder. Adding one: copy a sibling's ``files.py``, add a
line to :data:`MODELS`.

Libraries: none; this file is read before anything is installed.
"""

from modules.engines.camera.files import DEPTH
from modules.engines.stable_video.files import VIDEO
from modules.engines.wan.files import WAN

#: name → the model; the first is meant where none is named
MODELS = {model.key: model for model in (VIDEO, DEPTH, WAN)}

#: the one that page, launcher and ``download`` fetch where nothing else is asked for
MAIN = MODELS['video']
