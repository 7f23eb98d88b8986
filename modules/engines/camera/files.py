#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
The files of the model that estimates depth.

Libraries: none; this file is read before anything is installed.
"""

from modules import weights
from modules.choices import DEPTHS
from modules.configuration import Configuration
from modules.i18n import Text, text

#: what the option ``Depth`` calls the guess without a model
PRIOR = DEPTHS[0]


def announce(configuration: Configuration) -> Text | None:
    """
    Tell that the model is fetched without a question, and how that is refused.

    :param configuration: the options
    :type configuration: Configuration
    :return: one sentence; None where the options ask for no model
    :rtype: Text | None
    """
    if configuration.model.depth == PRIOR:
        return None
    return text(
        'engines.depth_announced',
        model = DEPTH.hub_name,
        size = round(DEPTH.size / 1e6),
        licence = DEPTH.licence)


#: depth for camera motion: Depth Anything V2 Small, as exported for onnxruntime
DEPTH = weights.Model(
    key = 'depth',
    incomplete = 'weights.no_depth_model',
    size = 99_100_000,
    licence = 'Apache-2.0',
    hub_name = 'onnx-community/depth-anything-v2-small',
    extras = ('preprocessor_config.json', ),
    single_files = tuple(f'onnx/model{variant}.onnx'
                         for variant in ('', '_fp16', '_int8', '_uint8', '_quantized', '_q4f16',
                                         '_q4', '_bnb4')),
    announce = announce)
