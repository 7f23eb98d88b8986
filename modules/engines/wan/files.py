#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
The files of Wan.

Libraries: none; this file is read before anything is installed.
"""

from pathlib import Path, PurePath

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


def find_variant(folder: Path) -> str | None:
    """
    Find out which files are read: the plain ones where every part has some.

    :param folder: a whole model
    :type folder: Path
    :return: ``fp16`` where a part has no others, None for the plain ones
    :rtype: str | None
    """
    parts = [folder / stem.rpartition('/')[0] for stem in WAN.stems]
    are_plain = all(
        any('.fp16' not in file.name for file in part.glob('*.safetensors')) for part in parts)
    return None if are_plain else 'fp16'


def describe_lora(configuration: Configuration) -> weights.Model | None:
    """
    Describe the LoRA files that are configured, by which the model makes a clip in few steps.

    :param configuration: the options
    :type configuration: Configuration
    :return: the files of one folder or repository; None where none are configured
    :rtype: weights.Model | None
    """
    names = [PurePath(name) for name in configuration.find_section(WanOptions).lora]
    if not names:
        return None
    folder = names[0].parent
    # on a hub, the first two parts name the repository
    is_within = len(folder.parts) > 2 and not folder.is_absolute() and folder.parts[0] != '~'
    root = PurePath(*folder.parts[:2]) if is_within else folder
    return weights.Model(
        key = 'wan',
        incomplete = 'weights.no_lora',
        option = 'Lora',
        is_loose = True,
        # two files of rank 64
        size = 2_500_000_000,
        read_name = lambda _configuration: root.as_posix(),
        stems = tuple((name.relative_to(root).with_suffix('')).as_posix() for name in names))


def find_lora(configuration: Configuration) -> tuple[Path, ...] | None:
    """
    Find the LoRA files that are configured.

    :param configuration: the options
    :type configuration: Configuration
    :return: the file for steps with much noise, and the one for the others; nothing where none are configured, None
        where they are not here
    :rtype: tuple[Path, ...] | None
    """
    model = describe_lora(configuration)
    if model is None:
        return ()
    folder = weights.find(configuration, model)
    return None if folder is None else tuple(folder / f'{stem}.safetensors' for stem in model.stems)


#: image and text to video: a pipeline of diffusers, without what reads no text
WAN = weights.Model(
    key = 'wan',
    incomplete = 'weights.no_wan',
    # the transformer is stored at full precision: 20.0, with what reads texts 11.4, and the VAE 2.8
    size = 34_200_000_000,
    # the same with two transformers of 57.2 and a small VAE
    sizes = {'Wan-AI/Wan2.2-I2V-A14B-Diffusers': 126_200_000_000},
    licence = 'Apache-2.0',
    read_name = read_name,
    configs = ('model_index.json', 'scheduler/scheduler_config.json', 'text_encoder/config.json',
               'tokenizer/tokenizer_config.json', 'transformer/config.json', 'vae/config.json'),
    # too large to be read for every request
    extras = ('tokenizer/special_tokens_map.json', 'tokenizer/tokenizer.json'),
    stems = ('text_encoder/model', 'transformer/diffusion_pytorch_model',
             'vae/diffusion_pytorch_model'),
    optional_stems = ('transformer_2/diffusion_pytorch_model', ),
    find_companion = describe_lora)
