#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
Words that several rooms must agree on, and limits that several rooms keep.

Libraries: none.
"""

#: the greatest seed that a random generator takes
GREATEST_SEED = 2**32 - 1

#: how a clip that is played over and over comes back to its beginning
LOOPS = ('none', 'pingpong', 'crossfade')
#: where in a live photo's clip the still sits
KEY_FRAMES = ('start', 'middle', 'end')
#: how much exactness is given for speed
PRESETS = ('quality', 'balanced', 'fast', 'draft')
