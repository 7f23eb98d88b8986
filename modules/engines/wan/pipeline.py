#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
The pipeline: loading it from a folder without what reads texts, and that by itself.

Libraries: torch, diffusers, transformers, safetensors, all imported when the engine loads.
"""

import gc
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modules.engines.diffusion import devices, placing
from modules.engines.diffusion.ladder import Rung
from modules.engines.diffusion.loading import dtype_argument, loading
from modules.engines.wan.texts import TOKENS

if TYPE_CHECKING:
    import torch

#: how what reads texts comes to a GPU: a layer at a time, whatever room the rest leaves
STREAMED = Rung('streamed', is_streamed = True)


@dataclass(frozen = True)
class Source:
    """What is read from a folder."""

    #: a whole model
    folder: Path
    #: where it is to compute
    device: str
    #: whether it is to compute at half precision: a processor has no fast arithmetic for that
    is_half: bool

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
    vae = _load(diffusers.AutoencoderKLWan, source.folder / 'vae', torch.float32)
    pipe = _load(
        diffusers.WanImageToVideoPipeline,
        source.folder,
        source.get_dtype(),
        vae = vae,
        text_encoder = None,
        tokenizer = None)
    pipe.set_progress_bar_config(disable = True)
    return pipe


def embed_texts(source: Source, texts: 'list[str]') -> 'list[torch.Tensor]':
    """
    Embed texts with the model that reads them, which is read from its files for that and let go.

    :param source: what is read
    :type source: Source
    :param texts: the texts
    :type texts: list[str]
    :return: [1, tokens, D] each, in main memory
    :rtype: list[torch.Tensor]
    """
    import diffusers
    import torch
    dtype = source.get_dtype()
    encoder = _load(_make_encoder_class(dtype), source.folder / 'text_encoder', dtype)
    reader = _load(
        diffusers.WanImageToVideoPipeline,
        source.folder,
        dtype,
        text_encoder = encoder,
        vae = None,
        transformer = None,
        transformer_2 = None)
    streamer = None
    if source.device != 'cpu':
        streamer = placing.place(reader, [reader.text_encoder], source.device, STREAMED)
    with torch.no_grad():
        made = [
            reader.encode_prompt(
                text, do_classifier_free_guidance = False, max_sequence_length = TOKENS)[0].cpu()
            for text in texts
        ]
    if streamer:
        streamer.release()
    # parts of a pipeline refer to each other
    del encoder, reader, streamer
    gc.collect()
    devices.empty_cache(source.device)
    return made


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


def _load(kind: Any, folder: Path, dtype: 'torch.dtype', **parts: Any) -> Any:
    """Read one model, or a pipeline of several."""
    import diffusers
    import safetensors
    import transformers
    diffusers.utils.logging.disable_progress_bar()
    transformers.utils.logging.disable_progress_bar()
    library = 'transformers' if issubclass(kind, transformers.PreTrainedModel) else 'diffusers'
    try:
        with loading():
            return kind.from_pretrained(
                folder, local_files_only = True, **{dtype_argument(library): dtype}, **parts)
    except safetensors.SafetensorError as error:
        raise OSError(str(error)) from error
