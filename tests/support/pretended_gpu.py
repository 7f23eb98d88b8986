#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
A GPU that is only pretended, and Stable Video Diffusion on it at any size: tensors have a device, a shape and no
numbers, so weights move and layers are computed in moments. What is computed of tensors on different devices is refused
as on a real one. Not a test itself.

Libraries: torch, diffusers, transformers, numpy, Pillow.
"""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import diffusers
import numpy
import tiny_checkpoint
import torch
import transformers
from live_tensors import FusedAttention
from PIL import Image
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode
from torch.overrides import TorchFunctionMode

from modules.configuration import Configuration, ModelOptions
from modules.engines.diffusion.decoding import ClipControl
from modules.engines.diffusion.ladder import Rung
from modules.engines.stable_video import presets
from modules.engines.stable_video.engine import StableVideo
from modules.engines.stable_video.memory import Needs
from modules.engines.stable_video.placed import PlacedPipeline
from modules.engines.stable_video.presets import Applied
from modules.engines.stable_video.sampler import Sampler
from modules.progress import Progress

GPU = torch.device('cuda:0')


@contextlib.contextmanager
def pretended() -> Iterator[None]:
    """
    Within it, ``cuda:0`` is there on a machine without one.

    :yield: nothing
    :ytype: None
    """
    usual = torch.nn.Module._apply
    torch.nn.Module._apply = _moved
    try:
        with FakeTensorMode(allow_non_fake_inputs = True), torch.no_grad(), FusedAttention(), \
                _Without():
            yield
    finally:
        torch.nn.Module._apply = usual


class _Without(TorchFunctionMode):
    """What torch cannot do with a device that it was not built for, done with what it can."""

    def __torch_function__(self, func, types, args = (), kwargs = None):
        if func == torch.Tensor.data.__set__:
            return _move(*args)
        on_gpu = args and isinstance(args[0], torch.Tensor) and args[0].device.type == 'cuda'
        if on_gpu and func is torch.Tensor.__getitem__:
            return _taken(*args)
        if on_gpu and func is torch.Tensor.__setitem__:
            # there are no numbers to be changed
            return None
        if on_gpu and func is torch.Tensor.contiguous and not args[0].is_contiguous():
            return args[0].clone(memory_format = torch.contiguous_format)
        if on_gpu and func is torch.equal:
            return True
        if on_gpu and func is torch.Tensor.copy_:
            # there are no numbers to be copied
            return args[0]
        return func(*args, **(kwargs or {}))


def _taken(tensor: torch.Tensor, key: object) -> torch.Tensor:
    """A part of a tensor, by numbers, slices, None and dots."""
    key = key if isinstance(key, tuple) else (key, )
    if Ellipsis in key:
        at = key.index(Ellipsis)
        others = sum(part is not None and part is not Ellipsis for part in key)
        key = key[:at] + (slice(None), ) * (tensor.ndim - others) + key[at + 1:]
    dimension = 0
    for part in key:
        if part is None:
            tensor = tensor.unsqueeze(dimension)
        elif isinstance(part, slice):
            numbers = part.start, part.stop, part.step or 1
            tensor = torch.ops.aten.slice.Tensor(tensor, dimension, *numbers)
        else:
            tensor = tensor.select(dimension, int(part))
            dimension -= 1
        dimension += 1
    return tensor


def _moved(module: torch.nn.Module, how: Callable, recurse: bool = True) -> torch.nn.Module:
    """As a module's own way to move, which is no way for tensors without numbers."""
    for child in module.children() if recurse else ():
        child._apply(how)
    for tensor in (*module._parameters.values(), *module._buffers.values()):
        if tensor is not None:
            _move(tensor, how(tensor.detach()))
    return module


def _move(tensor: FakeTensor, to: FakeTensor) -> None:
    tensor.requires_grad_(False)
    with torch._C.DisableTorchFunction():
        tensor.data = to
    tensor.fake_device, tensor.constant = to.fake_device, None


def tiny() -> diffusers.StableVideoDiffusionPipeline:
    """
    The tests' small model.

    :return: the pipeline, in main memory
    :rtype: diffusers.StableVideoDiffusionPipeline
    """
    return _pipeline(lambda: tiny_checkpoint._unet(32, 25), lambda: tiny_checkpoint._vae(32),
                     tiny_checkpoint._image_encoder)


def published() -> diffusers.StableVideoDiffusionPipeline:
    """
    The model in the size of the published weights.

    :return: the pipeline, in main memory
    :rtype: diffusers.StableVideoDiffusionPipeline
    """
    return _pipeline(
        lambda: diffusers.UNetSpatioTemporalConditionModel(num_attention_heads = (5, 10, 20, 20)),
        lambda: diffusers.AutoencoderKLTemporalDecoder(
            down_block_types = ('DownEncoderBlock2D', ) * 4,
            block_out_channels = (128, 256, 512, 512),
            layers_per_block = 2), lambda: transformers.CLIPVisionModelWithProjection(
                transformers.CLIPVisionConfig(
                    hidden_size = 1280,
                    intermediate_size = 5120,
                    num_hidden_layers = 32,
                    num_attention_heads = 16,
                    patch_size = 14,
                    hidden_act = 'gelu',
                    projection_dim = 1024)))


def _pipeline(unet: Callable, vae: Callable,
              image_encoder: Callable) -> diffusers.StableVideoDiffusionPipeline:
    # schedulers compute with numbers
    from torch.utils._python_dispatch import _disable_current_modes
    with _disable_current_modes():
        scheduler = diffusers.EulerDiscreteScheduler(**tiny_checkpoint.SCHEDULER)
        extractor = transformers.CLIPImageProcessor()
    pipe = diffusers.StableVideoDiffusionPipeline(
        vae = vae(),
        image_encoder = image_encoder(),
        unet = unet(),
        scheduler = scheduler,
        feature_extractor = extractor)
    pipe.feature_extractor = lambda images, **_options: SimpleNamespace(pixel_values = images)
    for part in (pipe.vae, pipe.image_encoder, pipe.unet):
        part.eval().half()
    return pipe


class Walking(Sampler):
    """Makes every kind of step once, where the pipeline would look at numbers."""

    available = 0

    def read_available_memory(self, needs: Needs) -> int:
        """
        Give what is pretended.

        :param needs: what a clip needs
        :type needs: Needs
        :return: bytes
        :rtype: int
        """
        return self.available

    def make(self, image: Image.Image, request: object, applied: Applied,
             control: ClipControl) -> numpy.ndarray:
        """
        Embed, encode, make a step, decode; see :meth:`Sampler.make`.

        :param image: RGB, of the model's size
        :type image: Image.Image
        :param request: unused
        :type request: object
        :param applied: what is given up for speed, and the options
        :type applied: Applied
        :param control: called before each
        :type control: ClipControl
        :return: no frames
        :rtype: numpy.ndarray
        """
        model, pipe, on_progress = applied.model, self.placed.pipe, control.report
        frames, chunk = model.output_frames, self.choose_chunk(model)
        height, width = model.image_prompt_height // 8, model.image_prompt_width // 8
        self.placed.prepare(applied)
        on_progress(Progress('encoding'))
        seen = torch.empty(1, 3, 224, 224, dtype = torch.half, device = GPU)
        context = self.placed.embeddings._compute(seen, GPU, 1, True).to(GPU)
        pipe.vae.to(dtype = torch.float32)
        picture = torch.empty(1, 3, 8 * height, 8 * width, device = GPU)
        encoded = pipe._encode_vae_image(picture, GPU, 1, True).half()
        pipe.vae.to(dtype = torch.float16)
        del picture
        on_progress(Progress('step', 1, 1))
        latents = torch.empty(1, frames, 4, height, width, dtype = torch.half, device = GPU)
        inputs = torch.cat(
            [torch.cat([latents] * 2),
             encoded.unsqueeze(1).repeat(1, frames, 1, 1, 1)], 2)
        numbers = torch.empty(2, 3, dtype = torch.half, device = GPU)
        pipe.unet(
            inputs,
            torch.empty((), device = GPU),
            encoder_hidden_states = context,
            added_time_ids = numbers,
            return_dict = False)
        del inputs, encoded
        on_progress(Progress('decoding', 0, 1))
        pipe.decode_latents(latents[:, :chunk], chunk, chunk)
        return numpy.empty((0, 8 * height, 8 * width, 3), numpy.uint8)


def engine(make: Callable[[], diffusers.StableVideoDiffusionPipeline], rung: Rung, needs: Needs,
           model: ModelOptions, there: int) -> StableVideo:
    """
    The engine on the pretended GPU.

    :param make: makes a pipeline
    :type make: Callable[[], diffusers.StableVideoDiffusionPipeline]
    :param rung: where it begins
    :type rung: Rung
    :param needs: what a clip needs
    :type needs: Needs
    :param model: the options
    :type model: ModelOptions
    :param there: bytes the GPU is said to have
    :type there: int
    :return: the engine, loaded
    :rtype: StableVideo
    """
    made = StableVideo(Configuration(model = model), lambda configuration: Path())
    made.budget.use_device(str(GPU), there)
    placed = PlacedPipeline(make(), str(GPU), rung, lambda: make().image_encoder)
    made.holder.model = Walking(placed, lambda model: needs, presets.apply('quality', model))
    made.holder.model.available = there
    return made
