#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
The files of Stable Video Diffusion.

Libraries: none; this file is read before anything is installed.
"""

import re
from pathlib import Path

from modules import weights
from modules.configuration import Configuration
from modules.i18n import Text, text

#: the model in one file, as other programs use it
SINGLE_FILE = re.compile(r'(?i)svd([_-].*)?\.safetensors')


def explain_single_file(configuration: Configuration, folder: Path | None) -> Text | None:
    """
    Explain that the model in one file, which other programs use, cannot be used: diffusers has no converter for it.

    :param configuration: the options
    :type configuration: Configuration
    :param folder: a whole model, where there is one
    :type folder: Path | None
    :return: the words, where ``ModelName`` names such a file or the folder it is in, or it lies in ``ModelsHome``;
        None where there is none, or a whole model
    :rtype: Text | None
    """
    if folder is not None:
        return None
    for place in (*weights.list_places(configuration, VIDEO), configuration.store.models_home):
        files = [place] if place.is_file() else sorted(place.glob('*.safetensors'))
        if found := next((file for file in files if SINGLE_FILE.fullmatch(file.name)), None):
            return text('engines.svd_single_file', file = found.name)
    return None


#: image to video: a pipeline of diffusers
VIDEO = weights.Model(
    key = 'video',
    incomplete = 'weights.no_pipeline',
    size = 4_500_000_000,
    configs = ('model_index.json', 'feature_extractor/preprocessor_config.json',
               'image_encoder/config.json', 'scheduler/scheduler_config.json', 'unet/config.json',
               'vae/config.json'),
    stems = ('image_encoder/model', 'unet/diffusion_pytorch_model', 'vae/diffusion_pytorch_model'),
    warn = explain_single_file)
