#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
The UNet as the pipeline calls it, with what the pipeline itself cannot do: guidance in two passes or left out, and
steps that compute only the layers whose output changes most.

Libraries: torch, through what is handed in and imported when the engine loads.
"""

import math
from typing import TYPE_CHECKING, Any

from modules.engines.diffusion.compiling import Compilable, Layers
from modules.engines.stable_video.presets import Preset

if TYPE_CHECKING:
    import torch
    from diffusers.models.attention_processor import Attention

#: layers at the end of the last block that every step computes
LAST_LAYERS = 2


class OneToken:
    """
    Attention to a context of a single token, which Stable Video Diffusion's photo is: whatever the query, the softmax
    over one number is 1, so the result is that token's value, the same for every query and in every step of a clip.
    """

    def __init__(self):
        #: layer → its result for each half, [halves, 1, C], or None where rows of it differ; None to cache nothing
        self.cache: dict[Attention, torch.Tensor | None] | None = None
        #: halves that are computed together
        self.halves = 1

    def __call__(self, attention: 'Attention', hidden_states: 'torch.Tensor',
                 encoder_hidden_states: 'torch.Tensor', **_unused: Any) -> 'torch.Tensor':
        """
        Compute what the layer gives.

        :param attention: the layer
        :type attention: Attention
        :param hidden_states: the queries, [B, N, C], of one half after the other
        :type hidden_states: torch.Tensor
        :param encoder_hidden_states: the context, [B, 1, D]
        :type encoder_hidden_states: torch.Tensor
        :param _unused: masks and the like, which change nothing with one token
        :type _unused: Any
        :return: [B, N, C]
        :rtype: torch.Tensor
        """
        import torch
        rows, queries = hidden_states.shape[:2]
        # not is_compiling(), which is true in every thread while one of them compiles
        if torch.compiler.is_dynamo_compiling():
            # compiled code adds in an order of its own in any case
            return _project(attention, encoder_hidden_states).expand(-1, queries, -1)
        cached = self.cache.get(attention) if self.cache is not None else None
        if cached is not None:
            return cached.repeat_interleave(rows // len(cached), 0).expand(-1, queries, -1)
        # For one query alone, a processor adds in another order, and the clip would differ in the last bit; so
        # would it with copies of one row, which are multiplied in another way than rows in memory of their own.
        result = _project(attention, encoder_hidden_states, queries)
        if self.cache is not None and attention not in self.cache:
            self.cache[attention] = self._get_rows(result)
        return result

    def _get_rows(self, result: 'torch.Tensor') -> 'torch.Tensor | None':
        """Give one row for each half; None where rows of a half differ, because sums were added in another order."""
        import torch
        of_halves = result.reshape(self.halves, -1, result.shape[-1])
        first = of_halves[:, :1]
        return first.clone() if torch.equal(of_halves, first.expand_as(of_halves)) else None


def _project(attention: 'Attention', context: 'torch.Tensor', queries: int = 1) -> 'torch.Tensor':
    """Compute the layer's result for each of so many queries, [B, queries, C]."""
    value = attention.to_v(context).expand(-1, queries, -1).contiguous()
    return attention.to_out[0](value) / attention.rescale_output_factor


class Denoiser:
    """
    Replaces a UNet's ``forward``. Used by one thread at a time.

    :param unet: a ``UNetSpatioTemporalConditionModel``, whose parts diffusers gives no types
    :type unet: Any
    :param layers: those of the UNet that can be compiled
    :type layers: Layers
    """

    def __init__(self, unet: Any, layers: Layers):
        self.unet = unet
        #: two passes of one half each instead of one of both
        self.is_split = False
        self._full = Compilable(unet.forward, layers)
        self._last = Compilable(self._compute_last_layers, layers)
        self._preset = Preset()
        self._step = 0
        # half → the last input of the layers that every step computes
        self._cache: dict[int, torch.Tensor] = {}
        self._inputs: list[torch.Tensor] = []
        self._is_caching = False
        self._one_token = OneToken()
        # pass → results of attention to the photo
        self._results: dict[tuple[int, int], dict] | None = None
        unet.set_attn_processor({
            name: self._one_token if '.attn2.' in name else processor
            for name, processor in unet.attn_processors.items()
        })
        unet.up_blocks[-1].resnets[-LAST_LAYERS].register_forward_pre_hook(self._note_input)
        unet.forward = self.forward

    @property
    def compilables(self) -> list[Compilable]:
        """What steps compute, in full and in part."""
        return [self._full, self._last]

    def begin(self, preset: Preset) -> None:
        """
        Prepare for a clip.

        :param preset: what is given up for speed
        :type preset: Preset
        """
        self._preset, self._step = preset, 0
        self._is_caching = preset.full_unet_every > 1
        self._results = {}

    def end(self) -> None:
        """Free what was cached for the next step."""
        self._preset, self._is_caching = Preset(), False
        self._results = self._one_token.cache = None
        self._inputs.clear()
        self._cache.clear()

    def forward(self, sample: 'torch.Tensor', timestep: 'torch.Tensor',
                encoder_hidden_states: 'torch.Tensor', added_time_ids: 'torch.Tensor',
                **_options: bool) -> tuple['torch.Tensor']:
        """
        Predict as the UNet does.

        :param sample: [halves, T, 2 · C, H / 8, W / 8]; two halves, the first without the photo, for guidance
        :type sample: torch.Tensor
        :param timestep: ln(σ) / 4
        :type timestep: torch.Tensor
        :param encoder_hidden_states: the photo's embedding, [halves, 1, D]
        :type encoder_hidden_states: torch.Tensor
        :param added_time_ids: speed, motion and noise, [halves, 3]
        :type added_time_ids: torch.Tensor
        :param _options: ``return_dict``, which the pipeline wants False
        :type _options: bool
        :return: the prediction, [halves, T, C, H / 8, W / 8], alone in a tuple
        :rtype: tuple[torch.Tensor]
        """
        is_full = self._step % self._preset.full_unet_every == 0
        self._step += 1
        predicted = self._predict(
            sample, timestep, encoder_hidden_states, added_time_ids, is_full = is_full)
        # without guidance both halves are the one with the photo
        return (predicted.expand(len(sample), *predicted.shape[1:]), )

    def _predict(self, sample: 'torch.Tensor', timestep: 'torch.Tensor', *conditions:
                 'torch.Tensor', is_full: bool) -> 'torch.Tensor':
        import torch
        made = []
        for halves in self._choose_passes(len(sample), timestep):
            part = slice(*halves)
            self._one_token.halves = part.stop - part.start
            if self._results is not None:
                self._one_token.cache = self._results.setdefault(halves, {})
            inputs = sample[part], timestep, *(condition[part] for condition in conditions)
            if is_full:
                made.append(self._full(*inputs, return_dict = False)[0])
                if self._is_caching:
                    of_halves = self._inputs.pop().chunk(part.stop - part.start)
                    self._cache |= zip(range(*halves), of_halves, strict = True)
            else:
                cached = torch.cat([self._cache[half] for half in range(*halves)])
                made.append(self._last(*inputs, cached))
        return torch.cat(made)

    def _note_input(self, _layer: 'torch.nn.Module', inputs: tuple) -> None:
        if self._is_caching:
            # the skip connection's channels come last, and are computed in every step
            added = self.unet.config.block_out_channels[0]
            self._inputs[:] = [inputs[0][:, :-added].contiguous()]

    def _choose_passes(self, halves: int, timestep: 'torch.Tensor') -> list[tuple[int, int]]:
        """List which halves are computed, and which of them together."""
        least = self._preset.guidance_above
        # 4 · t is the logarithm of the noise
        if halves == 2 and least is not None and 4 * float(timestep) < math.log(least):
            return [(1, 2)]
        return [(0, 1), (1, 2)] if halves == 2 and self.is_split else [(0, halves)]

    def _compute_last_layers(self, sample: 'torch.Tensor', timestep: 'torch.Tensor',
                             encoder_hidden_states: 'torch.Tensor', added_time_ids: 'torch.Tensor',
                             cached: 'torch.Tensor') -> 'torch.Tensor':
        """Make a step of the first and the last layers alone, with the others' output of an earlier step."""
        import torch
        unet, (halves, frames) = self.unet, sample.shape[:2]
        embedded = self._embed(timestep, added_time_ids, sample).repeat_interleave(frames, 0)
        context = encoder_hidden_states.repeat_interleave(frames, 0)
        more = {'image_only_indicator': sample.new_zeros(halves, frames)}
        down, up = unet.down_blocks[0], unet.up_blocks[-1]
        first = unet.conv_in(sample.flatten(0, 1))
        second = down.resnets[0](first, embedded, **more)
        second = down.attentions[0](second, context, **more, return_dict = False)[0]
        hidden = cached
        layers = zip(up.resnets[-LAST_LAYERS:], up.attentions[-LAST_LAYERS:], strict = True)
        for (resnet, attention), added in zip(layers, (second, first), strict = True):
            hidden = resnet(torch.cat([hidden, added], 1), embedded, **more)
            hidden = attention(hidden, context, **more, return_dict = False)[0]
        hidden = unet.conv_out(unet.conv_act(unet.conv_norm_out(hidden)))
        return hidden.reshape(halves, frames, *hidden.shape[1:])

    def _embed(self, timestep: 'torch.Tensor', added_time_ids: 'torch.Tensor',
               sample: 'torch.Tensor') -> 'torch.Tensor':
        """Embed noise level and conditions, [halves, D]."""
        unet, halves = self.unet, len(sample)
        time = unet.time_proj(timestep.expand(halves)).to(sample.dtype)
        conditions = unet.add_time_proj(added_time_ids.flatten()).reshape(halves, -1)
        return unet.time_embedding(time) + unet.add_embedding(conditions.to(sample.dtype))
