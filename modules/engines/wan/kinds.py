#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
What kind of Wan a checkpoint is, and what its kind is usually asked for. Figures are those of the model's own makers:
https://github.com/Wan-Video/Wan2.2 (``wan/configs``).

Libraries: none.
"""

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any


@dataclass(frozen = True)
class Kind:
    """What is usual for a checkpoint."""

    #: frames a second
    fps: int
    width: int
    height: int
    steps: int
    guidance: float
    #: frames that the model was trained for
    longest: int
    #: sides of the model's picture are multiples of this
    multiple: int = 16
    #: the first frame is the photo itself, so that its time differs
    has_own_time: bool = False

    @property
    def can_close(self) -> bool:
        """Whether it can be told the last picture too; the other kind ignores it without a word."""
        return not self.has_own_time


#: one model, and two that take turns
SMALL = Kind(24, 1280, 704, 50, 5.0, 121, multiple = 32, has_own_time = True)
LARGE = Kind(16, 832, 480, 40, 3.5, 81)

#: steps that LoRA files for few steps were made for
FEW_STEPS = 4


def read_kind(folder: Path, has_lora: bool = False) -> Kind | None:
    """
    Tell what kind a checkpoint is.

    :param folder: a whole model
    :type folder: Path
    :param has_lora: whether it is changed to make few steps without guidance
    :type has_lora: bool
    :return: the kind; None for one that makes no clip of a photo, or wants a model that reads the photo besides
    :rtype: Kind | None
    """
    index = read_config(folder / 'model_index.json')
    vae, transformer = (
        read_config(folder / part / 'config.json') for part in ('vae', 'transformer'))
    is_small = bool(index.get('expand_timesteps'))
    channels = vae.get('z_dim', 16)
    # the photo's own channels, and four that say which frames it is
    if not is_small and transformer.get('in_channels', 16) != 2 * channels + 4:
        return None
    if transformer.get('image_dim') is not None:
        return None
    usual = SMALL if is_small else LARGE
    patch = transformer.get('patch_size', (1, 2, 2))[1]
    multiple = vae.get('scale_factor_spatial', 8) * patch
    return _apply_lora(replace(usual, multiple = multiple), has_lora)


def guess_kind(name: str, has_lora: bool) -> Kind:
    """
    Tell what kind a checkpoint is that is not here: a web process of a fleet has none.

    :param name: on a hub, or a folder
    :type name: str
    :param has_lora: whether it is changed to make few steps without guidance
    :type has_lora: bool
    :return: the kind
    :rtype: Kind
    """
    return _apply_lora(LARGE if 'a14b' in name.lower() else SMALL, has_lora)


def _apply_lora(kind: Kind, has_lora: bool) -> Kind:
    return replace(kind, steps = FEW_STEPS, guidance = 1.0) if has_lora else kind


def read_config(file: Path) -> dict[str, Any]:
    """
    Read a description of diffusers.

    :param file: JSON
    :type file: Path
    :return: name → value
    :rtype: dict[str, Any]
    """
    return json.loads(file.read_text(encoding = 'utf-8'))
