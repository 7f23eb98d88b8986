#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
Wan in small: randomly initialised checkpoints of the real classes, as published in all but size, and what diffusers
alone makes of them. Not a test itself.

Libraries: torch, diffusers, transformers, safetensors, tokenizers, numpy, Pillow.
"""

import dataclasses
from pathlib import Path

import diffusers
import numpy
import safetensors.torch
import tokenizers
import torch
import transformers
from PIL import Image

from modules.configuration import Configuration, ModelOptions, StoreOptions
from modules.engines.diffusion import libraries
from modules.engines.wan.engine import Wan
from modules.engines.wan.options import WanOptions

#: small enough for a test
OPTIONS = {'width': 96, 'height': 64, 'frames': 5, 'steps': 3}

#: length of a text's embedding
EMBEDDING = 32

LETTERS = 'abcdefghijklmnopqrstuvwxyz .,风吹'


def make_small(folder: Path, scale: int = 1) -> Path:
    """
    Save a checkpoint of the kind of TI2V-5B: every token has a time of its own, and the VAE has patches.

    :param folder: where to
    :type folder: Path
    :param scale: how many times as wide and deep it is
    :type scale: int
    :return: the folder
    :rtype: Path
    """
    torch.manual_seed(0)
    vae = diffusers.AutoencoderKLWan(
        base_dim = 8 * scale,
        decoder_base_dim = 8 * scale,
        z_dim = 8,
        dim_mult = [1, 1, 1, 1],
        num_res_blocks = 1,
        latents_mean = [0.1] * 8,
        latents_std = [0.5] * 8,
        is_residual = True,
        in_channels = 12,
        out_channels = 12,
        patch_size = 2,
        scale_factor_spatial = 16)
    # as published: its index is that of the pipeline that makes videos of texts
    diffusers.WanPipeline(
        vae = vae,
        transformer = _transformer(8, 8, scale),
        expand_timesteps = True,
        **make_others()).save_pretrained(folder)
    return folder


def make_large(folder: Path, scale: int = 1) -> Path:
    """
    Save a checkpoint of the kind of I2V-A14B: two transformers that take turns.

    :param folder: where to
    :type folder: Path
    :param scale: how many times as wide and deep it is
    :type scale: int
    :return: the folder
    :rtype: Path
    """
    torch.manual_seed(0)
    vae = diffusers.AutoencoderKLWan(
        base_dim = 8 * scale,
        z_dim = 4,
        dim_mult = [1, 1, 1, 1],
        num_res_blocks = 1,
        latents_mean = [0.1] * 4,
        latents_std = [1.5] * 4)
    diffusers.WanImageToVideoPipeline(
        vae = vae,
        transformer = _transformer(12, 4, scale),
        transformer_2 = _transformer(12, 4, scale),
        boundary_ratio = 0.9,
        **make_others()).save_pretrained(folder)
    return folder


def make_lora(folder: Path, alpha: float | None = 4.0, scale: int = 1) -> tuple[Path, Path]:
    """
    Save two LoRA files for :func:`make_large`, as published for few steps: the makers' own names of layers.

    :param folder: where to
    :type folder: Path
    :param alpha: what the published files scale with; None for files without it
    :type alpha: float | None
    :param scale: that of the model
    :type scale: int
    :return: for steps with much noise, and for the others
    :rtype: tuple[Path, Path]
    """
    torch.manual_seed(1)
    folder.mkdir(parents = True, exist_ok = True)
    width, inner = 24 * scale, 32 * scale
    layers = {f'{kind}_attn.{one}': (width, width) for kind in ('self', 'cross') for one in 'qkvo'}
    layers |= {'ffn.0': (inner, width), 'ffn.2': (width, inner)}
    files = folder / 'high_noise_model.safetensors', folder / 'low_noise_model.safetensors'
    for file in files:
        weights = {}
        for block in range(2 * scale):
            for name, (made, given) in layers.items():
                layer = f'diffusion_model.blocks.{block}.{name}'
                weights[f'{layer}.lora_down.weight'] = torch.randn(2, given)
                weights[f'{layer}.lora_up.weight'] = torch.randn(made, 2)
                if alpha:
                    weights[f'{layer}.alpha'] = torch.tensor(alpha)
        safetensors.torch.save_file(weights, file)
    return files


def _transformer(channels: int, made: int, scale: int) -> diffusers.WanTransformer3DModel:
    return diffusers.WanTransformer3DModel(
        num_attention_heads = 2 * scale,
        attention_head_dim = 12,
        in_channels = channels,
        out_channels = made,
        text_dim = EMBEDDING,
        freq_dim = 16,
        ffn_dim = 32 * scale,
        num_layers = 2 * scale,
        rope_max_seq_len = 32)


def make_others(width: int = EMBEDDING) -> dict:
    """
    Make what is no part of the picture: what reads texts, and the scheduler.

    :param width: of a token's embedding, which the transformer has to expect
    :type width: int
    :return: arguments of a pipeline
    :rtype: dict
    """
    vocabulary = [('<pad>', 0.0), ('</s>', 0.0), ('<unk>', -20.0), *((c, -3.0) for c in LETTERS)]
    letters = tokenizers.Tokenizer(tokenizers.models.Unigram(vocabulary, unk_id = 2))
    letters.post_processor = tokenizers.processors.TemplateProcessing(
        single = '$A </s>', special_tokens = [('</s>', 1)])
    marks = {'pad_token': '<pad>', 'eos_token': '</s>', 'unk_token': '<unk>'}
    config = transformers.UMT5Config(
        vocab_size = len(vocabulary),
        d_model = width,
        d_kv = 8,
        d_ff = 64,
        num_layers = 2,
        num_heads = 4)
    return {
        'tokenizer':
        transformers.T5TokenizerFast(tokenizer_object = letters, extra_ids = 0, **marks),
        'text_encoder':
        transformers.UMT5EncoderModel(config),
        'scheduler':
        diffusers.UniPCMultistepScheduler(
            prediction_type = 'flow_prediction', use_flow_sigmas = True, flow_shift = 5.0)
    }


def configured(folder: Path, home: Path, own: dict | None = None, **options) -> Configuration:
    """
    Make options.

    :param folder: the checkpoint
    :type folder: Path
    :param home: where texts are kept
    :type home: Path
    :param own: options of Wan besides :data:`OPTIONS`
    :type own: dict | None
    :param options: options of every model
    :type options: Any
    :return: all options
    :rtype: Configuration
    """
    of_wan = WanOptions(model_name = str(folder), **{**OPTIONS, **(own or {})})
    given = Configuration()
    others = tuple(each for each in given.engines if not isinstance(each, WanOptions))
    return dataclasses.replace(
        given,
        model = ModelOptions(**options),
        store = StoreOptions(models_home = home),
        engines = (*others, of_wan))


def made(folder: Path, home: Path, own: dict | None = None, **options) -> Wan:
    """
    Make the engine; see :func:`configured`.

    :param folder: the checkpoint
    :type folder: Path
    :param home: where texts are kept
    :type home: Path
    :param own: options of Wan
    :type own: dict | None
    :param options: options of every model
    :type options: Any
    :return: the engine, not loaded
    :rtype: Wan
    """
    return Wan(configured(folder, home, own, **options))


def loaded(folder: Path, home: Path, own: dict | None = None, **options) -> Wan:
    """
    Make the engine and load it; see :func:`configured`.

    :param folder: the checkpoint
    :type folder: Path
    :param home: where texts are kept
    :type home: Path
    :param own: options of Wan
    :type own: dict | None
    :param options: options of every model
    :type options: Any
    :return: the engine
    :rtype: Wan
    """
    engine = made(folder, home, own, **options)
    engine.load()
    return engine


def load_plainly(folder: Path, dtype: torch.dtype = torch.float32):
    """
    Load the pipeline as its makers' page says.

    :param folder: the checkpoint
    :type folder: Path
    :param dtype: precision of all but the VAE
    :type dtype: torch.dtype
    :return: the pipeline
    :rtype: diffusers.WanImageToVideoPipeline
    """
    vae = diffusers.AutoencoderKLWan.from_pretrained(
        folder, subfolder = 'vae', **{libraries.dtype_argument(): torch.float32})
    pipe = diffusers.WanImageToVideoPipeline.from_pretrained(
        folder, vae = vae, **{libraries.dtype_argument(): dtype})
    pipe.set_progress_bar_config(disable = True)
    return pipe


def reference(pipe, image: Image.Image, prompt: str, negative: str, seed: int = 7, **more):
    """
    Make a clip by a plain call.

    :param pipe: the pipeline
    :type pipe: diffusers.WanImageToVideoPipeline
    :param image: the photo at the model's size
    :type image: Image.Image
    :param prompt: what should happen
    :type prompt: str
    :param negative: what should not
    :type negative: str
    :param seed: of the noise
    :type seed: int
    :param more: further arguments of the call
    :type more: Any
    :return: uint8 [T, H, W, 3]
    :rtype: numpy.ndarray
    """
    given = {'num_frames': 5, 'num_inference_steps': 3, **more}
    frames = pipe(
        image,
        prompt,
        negative,
        width = image.width,
        height = image.height,
        generator = torch.Generator().manual_seed(seed),
        output_type = 'pil',
        **given).frames[0]
    return numpy.stack([numpy.asarray(frame) for frame in frames])
