#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
The pipeline: loading it from a folder without what reads texts, and that by itself.

Libraries: torch, diffusers, transformers, safetensors, all imported when the engine loads.
"""

import logging
import traceback
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modules import errors
from modules.engines.diffusion import devices, placing, selftest
from modules.engines.diffusion.copying import Copier
from modules.engines.diffusion.libraries import dtype_argument, loading, stopping
from modules.engines.diffusion.streaming import LayerStreamer
from modules.engines.wan import memory
from modules.engines.wan.texts import TOKENS
from modules.progress import StopIfCancelled

if TYPE_CHECKING:
    import torch

logger = logging.getLogger(__name__)

#: main memory that reading texts takes besides the weights
BESIDES = 2**28


@dataclass(frozen = True)
class Source:
    """What is read from a folder."""

    #: a whole model
    folder: Path
    #: where it is to compute
    device: str
    #: whether it is to compute at half precision: a processor has no fast arithmetic for that
    is_half: bool
    #: ``fp16`` or None, whichever files are to be read; a part that has none of the one kind has the other
    variant: str | None = None
    #: files that change the transformers, one for each; nothing for the model as it is
    lora: tuple[Path, ...] = ()

    def get_dtype(self) -> 'torch.dtype':
        """
        Give the precision to compute at: the one the model was made for, where the device has it.

        :return: as torch names it
        :rtype: torch.dtype
        """
        import torch
        if not self.is_half:
            return torch.float32
        is_old = self.device.startswith('cuda') and not torch.cuda.is_bf16_supported(
            including_emulation = False)
        return torch.float16 if is_old else torch.bfloat16


def load_pipeline(source: Source) -> Any:
    """
    Read a checkpoint into memory, without asking the network. The VAE computes at full precision, as on its makers'
    page.

    :param source: what is read
    :type source: Source
    :return: a ``WanImageToVideoPipeline``, in main memory, for texts that are embedded already
    :rtype: Any
    :raises OSError: when a file is missing or unreadable
    :raises ValueError: when a file says what it should not
    """
    import diffusers
    import torch
    vae = _load(diffusers.AutoencoderKLWan, source, 'vae', torch.float32)
    pipe = _load(
        diffusers.WanImageToVideoPipeline,
        source,
        '',
        source.get_dtype(),
        vae = vae,
        text_encoder = None,
        tokenizer = None)
    pipe.set_progress_bar_config(disable = True)
    if source.lora:
        _fuse_lora(pipe, source.lora)
    return pipe


def _fuse_lora(pipe: Any, files: tuple[Path, ...]) -> None:
    """
    Add what LoRA files hold to the weights of the transformers. Layers beside theirs would be moved one by one on some
    rungs of the ladder.
    """
    with loading():
        for number, file in enumerate(files):
            pipe.load_lora_weights(
                str(file.parent),
                weight_name = file.name,
                local_files_only = True,
                load_into_transformer_2 = bool(number))
        pipe.fuse_lora(['transformer', 'transformer_2'])
        pipe.unload_lora_weights()


def require_memory(source: Source) -> None:
    """
    Make sure that what reads texts fits the main memory that is free: a process that takes more is killed.

    :param source: what would be read
    :type source: Source
    :raises modules.errors.NoMemoryForText: when it does not fit
    """
    needed = memory.count_weights(source.folder, 'text_encoder', source.get_dtype().itemsize)
    needed += BESIDES
    free = devices.read_free_memory('cpu')
    if needed > free:
        raise errors.NoMemoryForText(needed = f'{needed / 1e9:.1f}', there = f'{free / 1e9:.1f}')


def embed_texts(source: Source, texts: 'list[str]',
                stop_if_cancelled: StopIfCancelled) -> 'list[torch.Tensor]':
    """
    Embed texts with the model that reads them, which is read from its files for that and let go.

    :param source: what is read
    :type source: Source
    :param texts: the texts
    :type texts: list[str]
    :param stop_if_cancelled: called before the model is read, and before each of its blocks computes
    :type stop_if_cancelled: StopIfCancelled
    :return: [1, tokens, D] each, in main memory
    :rtype: list[torch.Tensor]
    :raises modules.errors.Cancelled: when the job is no longer wanted
    """
    stop_if_cancelled()
    try:
        return _embed(source, texts, stop_if_cancelled)
    except (errors.Cancelled, *selftest.FAULTS) as error:
        if not isinstance(error, errors.Cancelled):
            logger.warning('Texts cannot be read: %s', traceback.format_exc())
        # the error would hold what was computing as long as a job keeps it
        raise error.with_traceback(None) from None
    finally:
        selftest.release(source.device)


def _embed(source: Source, texts: 'list[str]',
           stop_if_cancelled: StopIfCancelled) -> 'list[torch.Tensor]':
    import diffusers
    import torch
    dtype = source.get_dtype()
    with stopping(stop_if_cancelled):
        encoder = _load(_make_encoder_class(dtype), source, 'text_encoder', dtype)
    reader = _load(
        diffusers.WanImageToVideoPipeline,
        source,
        '',
        dtype,
        text_encoder = encoder,
        vae = None,
        transformer = None,
        transformer_2 = None)
    for block in encoder.encoder.block:
        block.register_forward_pre_hook(lambda *_unused: stop_if_cancelled())
    embed = partial(
        reader.encode_prompt, do_classifier_free_guidance = False, max_sequence_length = TOKENS)
    streamer = None if source.device == 'cpu' else stream_encoder(encoder, source.device)
    try:
        with torch.no_grad():
            return [embed(text)[0].cpu() for text in texts]
    finally:
        if streamer:
            streamer.release()


def stream_encoder(encoder: Any, device: str) -> LayerStreamer:
    """
    Let the model that reads texts compute on a device, a layer at a time, whatever room the rest leaves there. Its
    table of words is many times as large as any layer, so words are looked up in main memory.

    :param encoder: a ``UMT5EncoderModel``, in main memory
    :type encoder: Any
    :param device: ``cuda:N`` or ``mps``
    :type device: str
    :return: what brings the layers' weights
    :rtype: LayerStreamer
    """
    placing.compute_on(encoder, device)
    stack = encoder.encoder
    table = stack.embed_tokens
    table.register_forward_pre_hook(lambda _table, given: (given[0].cpu(), ))
    table.register_forward_hook(lambda _table, _given, found: found.to(device))
    # each layer is used once for each text: pinning its memory would take longer than that saves
    return LayerStreamer([stack.block, stack.final_layer_norm], device, Copier())


def _make_encoder_class(dtype: 'torch.dtype') -> type:
    """
    Make the class of what reads texts, with its precision set before it is filled: while it is constructed, the default
    precision is not changed, and at twice the width it would not fit into the main memory of many machines.
    """
    import torch
    import transformers

    class Encoder(transformers.UMT5EncoderModel):

        def __init__(self, config: Any):
            super().__init__(config)
            torch.nn.Module.to(self, dtype)

    return Encoder


def _load(kind: Any, source: Source, part: str, dtype: 'torch.dtype', **parts: Any) -> Any:
    """Read one model, or a pipeline of several, of which some may have files of the other kind alone."""
    import diffusers
    import safetensors
    import transformers
    diffusers.utils.logging.disable_progress_bar()
    transformers.utils.logging.disable_progress_bar()
    folder = source.folder / part
    has_variant = not part or any(folder.glob(f'*.{source.variant}*.safetensors'))
    library = 'transformers' if issubclass(kind, transformers.PreTrainedModel) else 'diffusers'
    try:
        with loading():
            return kind.from_pretrained(
                folder,
                local_files_only = True,
                variant = source.variant if has_variant else None,
                **{dtype_argument(library): dtype},
                **parts)
    except safetensors.SafetensorError as error:
        raise OSError(str(error)) from error
