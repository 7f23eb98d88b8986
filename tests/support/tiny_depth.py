#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
Randomly initialised checkpoints of Depth Anything, made of the real classes: the published one has all that they have,
and other numbers. Not a test itself.

Libraries: torch, transformers.
"""

import json
from pathlib import Path

import torch
import transformers

#: how the published model wants its pictures
PICTURES = {
    'image_processor_type': 'DPTImageProcessor',
    'do_resize': True,
    'size': {
        'height': 518,
        'width': 518
    },
    'keep_aspect_ratio': True,
    'ensure_multiple_of': 14,
    'resample': 3,
    'do_rescale': True,
    'rescale_factor': 1 / 255,
    'do_normalize': True,
    'image_mean': [0.485, 0.456, 0.406],
    'image_std': [0.229, 0.224, 0.225],
    'do_pad': False
}

#: the sizes of the published model, which looks at 518 pixels of the shorter side
SMALL = {
    'hidden': 384,
    'layers': 12,
    'heads': 6,
    'neck': (48, 96, 192, 384),
    'fusion': 64,
    'head': 32,
    'side': 518
}


def make(folder: Path,
         *,
         hidden: int = 16,
         layers: int = 4,
         heads: int = 2,
         neck: tuple[int, ...] = (4, 4, 8, 8),
         fusion: int = 4,
         head: int = 4,
         side: int = 70,
         **configured: object) -> Path:
    """
    Save a checkpoint.

    :param folder: where to
    :type folder: Path
    :param hidden: channels of the backbone
    :type hidden: int
    :param layers: its layers, a multiple of four
    :type layers: int
    :param heads: its attention heads
    :type heads: int
    :param neck: channels of the four stages
    :type neck: tuple[int, ...]
    :param fusion: channels where they are put together
    :type fusion: int
    :param head: channels of the last layers
    :type head: int
    :param side: pixels of the shorter side that is looked at, a multiple of 14
    :type side: int
    :param configured: more of the configuration
    :type configured: object
    :return: the folder
    :rtype: Path
    """
    torch.manual_seed(0)
    transformers.utils.logging.disable_progress_bar()
    backbone = transformers.Dinov2Config(
        hidden_size = hidden,
        num_hidden_layers = layers,
        num_attention_heads = heads,
        image_size = 518,
        patch_size = 14,
        out_indices = [layers * part // 4 for part in (1, 2, 3, 4)],
        reshape_hidden_states = False)
    model = transformers.DepthAnythingForDepthEstimation(
        transformers.DepthAnythingConfig(
            backbone_config = backbone,
            reassemble_hidden_size = hidden,
            neck_hidden_sizes = list(neck),
            fusion_hidden_size = fusion,
            head_hidden_size = head,
            **configured))
    # as initialised it gives hardly anything but zeros
    for weight in model.parameters():
        if weight.dim() > 1:
            torch.nn.init.kaiming_normal_(weight)
    torch.nn.init.constant_(model.head.conv3.bias, 1.0)
    model.save_pretrained(folder)
    pictures = {**PICTURES, 'size': {'height': side, 'width': side}}
    (folder / 'preprocessor_config.json').write_text(json.dumps(pictures), encoding = 'utf-8')
    return folder
