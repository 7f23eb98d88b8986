#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
What kind a checkpoint is, and why one cannot be used.

Libraries: none.
"""

import json
import re
from pathlib import Path

from modules.configuration import Configuration, ModelOptions
from modules.engines.diffusion.checkpoints import get_last_part, get_public_name
from modules.engines.stable_video import files
from modules.i18n import Text, text

#: names of models for few steps, and of the schedulers that only they have
FEW_STEPS = r'(?i)lcm(?![a-z])|StochasticIterative'

#: the model was trained for slower clips than this
GREATEST_CONDITIONING_FPS = 12


def explain_refusal(configuration: Configuration, folder: Path | None) -> Text | None:
    """
    Explain why there is no checkpoint that can be used.

    :param configuration: the options
    :type configuration: Configuration
    :param folder: a whole model, where there is one
    :type folder: Path | None
    :return: the reason; None where the folder can be used
    :rtype: Text | None
    """
    name = configuration.model.model_name
    if _has_few_steps(name, folder):
        return text('engines.svd_few_steps', model = get_public_name(name))
    if folder is not None:
        return None
    return files.explain_single_file(configuration, folder) or text(
        'engines.no_weights', model = name)


def list_warnings(model: ModelOptions, folder: Path | None) -> tuple[Text, ...]:
    """
    List what is set in a way that is known to give bad clips.

    :param model: the options
    :type model: ModelOptions
    :param folder: a whole model, where there is one
    :type folder: Path | None
    :return: one text for each
    :rtype: tuple[Text, ...]
    """
    frames, found = model.output_frames, []
    if folder is not None:
        unet = json.loads((folder / 'unet' / 'config.json').read_text(encoding = 'utf-8'))
        trained = unet.get('num_frames', 25)
        if frames > trained:
            found.append(text('engines.warn_frames', frames = frames, trained = trained))
    if model.conditioning_fps > GREATEST_CONDITIONING_FPS:
        found.append(text('engines.warn_fps', fps = model.conditioning_fps))
    return tuple(found)


def _has_few_steps(name: str, folder: Path | None) -> bool:
    """Whether weights were distilled for few steps; with an ordinary scheduler they give mush."""
    # names of the folders above it mean nothing
    if re.search(FEW_STEPS, get_last_part(name)):
        return True
    config = folder / 'scheduler' / 'scheduler_config.json' if folder else None
    if config is None or not config.is_file():
        return False
    kind = json.loads(config.read_text(encoding = 'utf-8')).get('_class_name', '')
    return bool(re.search(FEW_STEPS, kind))
