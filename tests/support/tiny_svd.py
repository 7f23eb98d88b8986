#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
The Stable Video Diffusion engine in small: a tiny checkpoint, a photo, a request, and what diffusers alone makes of
them. Not a test itself.

Libraries: torch, diffusers, numpy, Pillow.
"""

import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy
import torch
from diffusers import StableVideoDiffusionPipeline
from PIL import Image

from modules.configuration import Configuration, ModelOptions
from modules.engines.diffusion import libraries
from modules.engines.stable_video import memory
from modules.engines.stable_video.engine import StableVideo
from modules.photos.sizes import Photo
from modules.progress import JobControl, do_nothing
from modules.request import AnimationRequest

ROOT = Path(__file__).resolve().parents[2]

#: bytes of the published weights at half precision
UNET, VAE, IMAGE_ENCODER = 3049246164, 195531910, 1264217240

#: small enough for a test, with sides the option table allows
OPTIONS = {
    'image_prompt_width': 128,
    'image_prompt_height': 64,
    'output_frames': 5,
    'inference_steps': 3
}


def load_plainly(folder, variant, dtype = torch.float32):
    pipe = StableVideoDiffusionPipeline.from_pretrained(
        folder, variant = variant, **{libraries.dtype_argument(): dtype})
    pipe.set_progress_bar_config(disable = True)
    pipe.scheduler.alphas_cumprod = pipe.scheduler.alphas_cumprod.numpy()
    return pipe


def made(folder, **options):
    model = ModelOptions(model_name = str(folder), **{**OPTIONS, **options})
    return StableVideo(Configuration(model = model))


def loaded(folder, **options):
    engine = made(folder, **options)
    engine.load()
    return engine


def photo(width = 256, height = 128):
    ramp = numpy.linspace(0, 255, width * height * 3).reshape(height, width, 3)
    noise = numpy.random.default_rng(1).integers(0, 60, (height, width, 3))
    image = Image.fromarray(((ramp + noise) % 256).astype(numpy.uint8))
    return Photo(image, image.size)


def request(**values):
    defaults = {
        'motion_bucket_id': 127,
        'noise_aug_strength': 0.02,
        'max_guidance_scale': 3.0,
        'seed': 7,
        'format': 'gif',
        'engine': 'svd'
    }
    known = {field.name for field in dataclasses.fields(AnimationRequest)}
    more = {'photo': Path('photo.jpg'), 'stem': 'photo', **defaults, **values}
    return AnimationRequest(**{name: value for name, value in more.items() if name in known})


def animate(engine, picture, wanted, on_progress = do_nothing, stop = do_nothing):
    return engine.animate(picture, wanted, JobControl(on_progress, stop))


def reference(pipe, picture, wanted, size = (128, 64), chunk = 5, frames = 5, steps = 3, fps = 7):
    """A plain call, frames as diffusers turns them into pictures."""
    pictures = pipe(
        picture.image.resize(size, Image.Resampling.LANCZOS),
        width = size[0],
        height = size[1],
        num_frames = frames,
        num_inference_steps = steps,
        fps = fps,
        motion_bucket_id = wanted.motion_bucket_id,
        noise_aug_strength = wanted.noise_aug_strength,
        max_guidance_scale = wanted.max_guidance_scale,
        decode_chunk_size = chunk,
        generator = torch.Generator().manual_seed(wanted.seed)).frames[0]
    return numpy.stack([numpy.asarray(frame) for frame in pictures])


def reason(engine):
    return engine.status().reason.in_('en')


def run_python(code, *path):
    """Another process, in which nothing is imported yet."""
    places = os.pathsep.join(map(str, [*path, ROOT, ROOT / 'tests' / 'support']))
    return subprocess.run([sys.executable, '-W', 'error', '-c', code],
                          env = {
                              **os.environ, 'PYTHONPATH': places,
                              'OMP_NUM_THREADS': '1'
                          },
                          capture_output = True,
                          text = True,
                          timeout = 120)


def pictures(seen, phase):
    return [progress.picture for progress in seen if progress.phase == phase]


def published(tmp_path, **options):
    """What the published weights need; their files are holes of the right length."""
    for part, size in (('unet', UNET), ('vae', VAE), ('image_encoder', IMAGE_ENCODER)):
        (tmp_path / part).mkdir(exist_ok = True)
        with (tmp_path / part / 'model.fp16.safetensors').open('wb') as file:
            file.truncate(size)
    for part, channels in (('unet', 320), ('vae', 128)):
        (tmp_path / part / 'config.json').write_text(json.dumps({'block_out_channels': [channels]}))
    return memory.read_needs(tmp_path, 'fp16', ModelOptions(**options), width = 2)
