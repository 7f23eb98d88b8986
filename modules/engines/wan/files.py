#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
The files of Wan.

Libraries: none; this file is read before anything is installed.
"""

from modules import weights
from modules.configuration import Configuration
from modules.engines.wan.options import WanOptions


def read_name(configuration: Configuration) -> str:
    """
    Return the name of the model that is configured.

    :param configuration: the options
    :type configuration: Configuration
    :return: a hub name, or a folder
    :rtype: str
    """
    return configuration.find_section(WanOptions).model_name


#: image and text to video: a pipeline of diffusers, without what reads no text
WAN = weights.Model(
    key = 'wan',
    lack = 'weights.no_wan',
    # the transformer is stored at full precision: 20.0, with what reads texts 11.4, and the VAE 2.8
    size = 34_200_000_000,
    licence = 'Apache-2.0',
    read_name = read_name,
    configs = ('model_index.json', 'scheduler/scheduler_config.json', 'text_encoder/config.json',
               'tokenizer/tokenizer_config.json', 'transformer/config.json', 'vae/config.json'),
    # too large to be read for every request
    extras = ('tokenizer/special_tokens_map.json', 'tokenizer/tokenizer.json'),
    stems = ('text_encoder/model', 'transformer/diffusion_pytorch_model',
             'vae/diffusion_pytorch_model'),
    optional_stems = ('transformer_2/diffusion_pytorch_model', ))
