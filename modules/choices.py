#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
Words that several rooms must agree on, and limits that several rooms keep.

Libraries: none.
"""

#: the greatest seed that a random generator takes
GREATEST_SEED = 2**32 - 1

#: the longest clip that anybody may allow, in seconds
MOST_SECONDS = 60

#: the most characters of a text that says what should happen
LONGEST_TEXT = 1000

#: how a clip that is played over and over comes back to its beginning; ``model``: the model itself leads it back
LOOPS = ('none', 'pingpong', 'crossfade', 'model')
#: where in a live photo's clip the still sits
KEY_FRAMES = ('start', 'middle', 'end')
#: frames shown for each frame that a model made
SMOOTH = (1, 2, 4)
#: how much exactness is given for speed
PRESETS = ('quality', 'balanced', 'fast', 'draft')
#: how much is given up to fit the GPU; each rung gives up what those before it do
RUNGS = ('resident', 'offload', 'chunked', 'split', 'streamed', 'single')
#: how a photo is fitted to the size that a model takes
FITS = ('stretch', 'crop', 'pad')
#: how camera motion finds depth: estimated by rules, or by a model
DEPTHS = ('prior', 'depth-anything-v2-small')
#: how the camera moves; ``auto`` leaves it to the seed
MOVES = ('auto', 'still', 'orbit', 'push-in', 'pull-out', 'pan-left', 'pan-right', 'rise', 'sink',
         'sway', 'dolly-zoom')
