#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
What the published models of Wan say of themselves, without their weights. Not a test itself.

Libraries: none.
"""

import json
from pathlib import Path
from typing import Any

#: bytes of a transformer's numbers at one byte each, and the descriptions of transformer and VAE as far as they are not
#: what diffusers takes without
PUBLISHED: dict[str, tuple[int, dict[str, Any], dict[str, Any]]] = {
    'small': (4_999_787_712, {
        'num_attention_heads': 24,
        'in_channels': 48,
        'out_channels': 48,
        'ffn_dim': 14336,
        'num_layers': 30
    }, {
        'base_dim': 160,
        'decoder_base_dim': 256,
        'z_dim': 48,
        'is_residual': True,
        'in_channels': 12,
        'out_channels': 12,
        'patch_size': 2,
        'scale_factor_spatial': 16,
        'latents_mean': [0.0] * 48,
        'latents_std': [1.0] * 48
    }),
    'large': (14_288_901_184, {
        'in_channels': 36
    }, {})
}


def describe(folder: Path, name: str) -> Path:
    """
    Write a model's descriptions, and its files as holes of the right length.

    :param folder: where to
    :type folder: Path
    :param name: one of :data:`PUBLISHED`
    :type name: str
    :return: the folder
    :rtype: Path
    """
    weights, transformer, vae = PUBLISHED[name]
    sizes = {'transformer': 4 * weights, 'vae': 2_818_754_672 if vae else 507_570_124}
    if not vae:
        sizes['transformer_2'] = sizes['transformer']
    for part, size in sizes.items():
        (folder / part).mkdir()
        with (folder / part / 'diffusion_pytorch_model.safetensors').open('wb') as file:
            file.truncate(size)
    described = {'num_attention_heads': 40, 'attention_head_dim': 128, **transformer}
    (folder / 'transformer' / 'config.json').write_text(json.dumps(described))
    (folder / 'vae' / 'config.json').write_text(json.dumps(vae))
    (folder / 'model_index.json').write_text(json.dumps({'expand_timesteps': bool(vae)}))
    return folder
