#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
The files of the model that estimates depth, and the libraries it needs.

Libraries: none; this file is read before anything is installed.
"""

from modules import weights
from modules.engines.common import missing_libraries
from modules.i18n import Text, text

LIBRARIES = ('torch', 'transformers')


def explain_libraries() -> Text | None:
    """
    Explain which libraries the model lacks.

    :return: the words; None where all are installed
    :rtype: Text | None
    """
    missing = missing_libraries(*LIBRARIES)
    return text('engines.depth_no_libraries', libraries = ', '.join(missing)) if missing else None


#: depth for camera motion: a model of transformers
DEPTH = weights.Model(
    configs = ('config.json', 'preprocessor_config.json'),
    stems = ('model', ),
    lack = 'weights.no_depth_model',
    warn = lambda _configuration, _folder: explain_libraries(),
    hub_name = 'depth-anything/Depth-Anything-V2-Small-hf')
