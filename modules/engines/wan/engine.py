#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
The engine: one pipeline, loaded on the worker, used by one thread at a time.

Its frames are those of a plain call of diffusers' ``WanImageToVideoPipeline`` with the same checkpoint, fitted photo,
size, texts and seed, bit for bit. Random numbers are drawn on the CPU, so that a seed means the same noise on every
device.

Libraries: torch and diffusers, imported when it loads; numpy, Pillow.
"""

import dataclasses
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image

from modules.configuration import Configuration
from modules.engines.common import are_never_coming, missing_libraries, recorded_options
from modules.engines.diffusion import fitting
from modules.engines.diffusion.checkpoints import get_last_part, get_public_name, hide_folder
from modules.engines.diffusion.engine import VideoEngine
from modules.engines.diffusion.fitting import Fit
from modules.engines.wan import pipeline
from modules.engines.wan.budget import WanBudget
from modules.engines.wan.clip import (
    FRAMES,
    PRESETS,
    Asked,
    PlannedClip,
    count_pixels,
    find_longest,
    find_usual_seconds,
    list_presets,
    plan_clip,
)
from modules.engines.wan.files import WAN, find_lora
from modules.engines.wan.kinds import Kind, guess_kind, read_kind
from modules.engines.wan.options import WanOptions
from modules.engines.wan.placed import PlacedPipeline
from modules.engines.wan.sampler import Sampler, Wanted
from modules.engines.wan.texts import TextCache, choose_texts, identify_encoder
from modules.engines.wan.wishes import WISHES
from modules.i18n import Text, text
from modules.progress import JobControl, StopIfCancelled

if TYPE_CHECKING:
    import numpy

    from modules.photos.sizes import Photo
    from modules.request import AnimationRequest

#: attributes of the options that change the result, besides those of every engine and this engine's own
OPTIONS = ('image_fit', )

#: why the engine cannot work → what can be fetched, so that it can
FETCHABLE = {
    'engines.no_libraries': 'libraries',
    'engines.no_weights': WAN.key,
    'engines.wan_lora_missing': WAN.key
}


class Wan(VideoEngine[Sampler]):
    """
    Wan.

    :param configuration: the options
    :type configuration: Configuration
    :param find: configuration → the folder of a whole model, or None
    :type find: Callable[[Configuration], Path | None] | None
    :param are_libraries_coming: whether libraries are being installed at this moment
    :type are_libraries_coming: Callable[[], bool]
    """

    name = 'wan'
    pipeline = 'WanImageToVideoPipeline'
    libraries = ('torch', 'diffusers', 'transformers', 'accelerate', 'ftfy')
    files = WAN
    fetchable = FETCHABLE
    parameters = ('seed', 'preset', 'seconds', 'prompt', 'negative_prompt')
    wishes = WISHES

    def __init__(self,
                 configuration: Configuration,
                 find: Callable[[Configuration], Path | None] | None = None,
                 are_libraries_coming: Callable[[], bool] = are_never_coming):
        self.budget: WanBudget
        super().__init__(configuration, WanBudget(configuration), find, are_libraries_coming)
        self.own = configuration.find_section(WanOptions)
        self._use_kind(guess_kind(self.own.model_name, bool(self.own.lora)))

    def explain_checkpoint(self, folder: Path | None) -> Text | None:
        name = get_public_name(self.own.model_name)
        if folder is None:
            # nobody should fetch gigabytes that are of no use here
            return self.budget.explain_processor() or text('engines.no_weights', model = name)
        kind = read_kind(folder)
        if kind is None:
            return text('engines.wan_other_kind', model = name)
        if not self.own.lora:
            return None
        files = ', '.join(map(get_last_part, self.own.lora))
        # they come in pairs for two models that take turns
        if not (folder / 'transformer_2').is_dir():
            return text('engines.wan_no_lora_for', model = name, files = files)
        if missing := missing_libraries('peft'):
            return text(
                'engines.no_libraries', engine = text('page.wan'), libraries = ', '.join(missing))
        if find_lora(self.configuration) is not None:
            return None
        return self.budget.explain_refusal(folder) or text(
            'engines.wan_lora_missing', files = files)

    def use_folder(self, folder: Path) -> None:
        self._use_kind(read_kind(folder, bool(self.own.lora)) or self._kind)

    def _use_kind(self, kind: Kind) -> None:
        self._kind, self.fps, self.can_close = kind, float(kind.fps), kind.can_close
        self.presets = list_presets(self.own, kind)
        self.longest_seconds: float = round(find_longest(self.own, kind) / kind.fps, 2)
        # twice those of the model's picture, so that what is made smaller stays sharp
        self.photo_pixels = 2 * count_pixels(self.own, kind)
        self.usual_seconds: float = self.model.seconds or find_usual_seconds(
            self.own, kind, self.model.preset)

    def _load_sampler(self, folder: Path, is_full: bool) -> Sampler:
        self.budget.is_full = is_full
        source = self.budget.find_source(folder)
        _kind, usual = self.budget.plan_usual(folder)
        identity = identify_encoder(folder, str(source.get_dtype()))
        texts = TextCache(self.budget.home, identity, partial(pipeline.embed_texts, source))
        usual_texts = choose_texts(self.own)
        # what reads texts needs the memory that the rest will take
        texts.embed(*usual_texts)
        pipe = pipeline.load_pipeline(source)
        # from now on there is less room for it
        texts.check = partial(pipeline.require_memory, source)
        # what is free counts once the weights have taken their room in main memory
        placed = PlacedPipeline(pipe, self.budget.device, self.budget.choose_rung(folder))
        image = Image.effect_noise((usual.width, usual.height), 64).convert('RGB')
        shortest = Wanted(image, dataclasses.replace(usual, steps = 1), usual_texts, 0)
        return Sampler(placed, texts, partial(self.budget.is_tiled, folder), shortest)

    def prepare(self, stop_if_cancelled: StopIfCancelled) -> None:
        # nothing would make later clips faster
        pass

    def settings(self, request: 'AnimationRequest') -> dict[str, object]:
        # what was used where that differs from what was set; what a preset makes of it follows from it
        sampler = self.holder.require()
        positive, negative = choose_texts(self.own, request.prompt, request.negative_prompt)
        kind = self._kind
        seconds = self.model.seconds or find_usual_seconds(self.own, kind, request.preset
                                                           or self.model.preset)
        return {
            **recorded_options(self.model, *OPTIONS),
            'Memory': sampler.rung.name,
            # other lengths are not asked for in this way: they follow from Frames
            'Seconds': seconds if 1 <= seconds <= 10 else None,
            'WanOptions.ModelName': get_public_name(self.own.model_name),
            'Width': self.own.width or kind.width,
            'Height': self.own.height or kind.height,
            'Frames': self.own.frames or FRAMES,
            'Steps': self.own.steps or kind.steps,
            'Guidance': kind.guidance if self.own.guidance is None else self.own.guidance,
            'Lora': ', '.join(map(hide_folder, self.own.lora)),
            'Tiles': sampler.was_tiled,
            'Prompt': positive,
            'NegativePrompt': negative
        }

    def animate(self, photo: 'Photo', request: 'AnimationRequest',
                control: JobControl) -> 'numpy.ndarray':
        clip, fit = self.plan(photo.full_size, request)
        clip_control = fitting.control_in_shape(control, fit)
        texts = choose_texts(self.own, request.prompt, request.negative_prompt)
        image = fitting.fit_to_model(photo.image, fit)
        last = image if self.can_close and request.loop == 'model' else None
        wanted = Wanted(image, clip, texts, request.seed, last)
        return self.holder.make_clip(lambda sampler: sampler.make(wanted, clip_control),
                                     clip_control)

    def plan(self, photo: tuple[int, int], request: 'AnimationRequest') -> tuple[PlannedClip, Fit]:
        """
        Decide on all sizes.

        :param photo: width and height of the upright photo
        :type photo: tuple[int, int]
        :param request: what is wanted
        :type request: AnimationRequest
        :return: what is made, and how the photo meets it
        :rtype: tuple[PlannedClip, Fit]
        """
        preset = PRESETS[request.preset or self.model.preset]
        seconds = request.seconds or self.model.seconds
        clip = plan_clip(self.own, self._kind, Asked(photo, preset, seconds))
        sized = dataclasses.replace(
            self.model, image_prompt_width = clip.width, image_prompt_height = clip.height)
        return clip, fitting.plan(photo, sized)
