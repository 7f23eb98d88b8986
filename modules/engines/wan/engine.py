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
import logging
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image

from modules import errors
from modules.configuration import Configuration
from modules.engines.common import COMING, are_never_coming, missing_libraries, recorded_options
from modules.engines.contract import Engine, EngineStatus
from modules.engines.diffusion import fitting, loader
from modules.engines.diffusion.checkpoints import get_public_name
from modules.engines.diffusion.decoding import ClipControl
from modules.engines.diffusion.fitting import Fit
from modules.engines.diffusion.holder import ModelHolder
from modules.engines.wan import pipeline
from modules.engines.wan.budget import WanBudget
from modules.engines.wan.clip import FRAMES, PRESETS, Asked, Clip, find_usual_seconds, plan_clip
from modules.engines.wan.files import WAN, find_checkpoint
from modules.engines.wan.kinds import SMALL, Kind, read_kind
from modules.engines.wan.options import WanOptions
from modules.engines.wan.placed import PlacedPipeline
from modules.engines.wan.sampler import Sampler, Wanted
from modules.engines.wan.texts import TextCache, choose_texts, identify_encoder
from modules.i18n import Text, text
from modules.progress import JobControl, Progress, StopIfCancelled

if TYPE_CHECKING:
    import numpy

    from modules.photos.sizes import Photo
    from modules.request import AnimationRequest

logger = logging.getLogger(__name__)

LIBRARIES = ('torch', 'diffusers', 'transformers', 'accelerate', 'ftfy')

#: attributes of the options that change the result, besides those of every engine and this engine's own
OPTIONS = ('image_fit', )

#: why the engine cannot work → what can be fetched, so that it can
LACKS = {'engines.no_libraries': 'libraries', 'engines.no_weights': WAN.key}


class Wan(Engine):
    """
    Wan.

    :param configuration: the options
    :type configuration: Configuration
    :param find: configuration → the folder of a whole model, or None
    :type find: Callable[[Configuration], Path | None]
    :param are_libraries_coming: whether libraries are being installed at this moment
    :type are_libraries_coming: Callable[[], bool]
    """

    parameters = ('seed', 'preset', 'seconds', 'prompt', 'negative_prompt')
    is_closed = False
    is_generative = True

    def __init__(self,
                 configuration: Configuration,
                 find: Callable[[Configuration], Path | None] = find_checkpoint,
                 are_libraries_coming: Callable[[], bool] = are_never_coming):
        self.model = configuration.model
        self.own = configuration.find_section(WanOptions)
        self.budget = WanBudget(configuration)
        self.holder: ModelHolder[Sampler] = ModelHolder('wan')
        self._home = configuration.store.models_home / 'texts'
        self._are_libraries_coming = are_libraries_coming
        self._find = partial(find, configuration)
        #: what was loaded
        self._folder: Path | None = None
        self._use_kind(SMALL)

    def status(self) -> EngineStatus:
        if failure := self.holder.failure:
            return EngineStatus(failure, LACKS.get(failure.key, ''))
        # a loaded engine does not depend on the disk its files came from; of any other the device is a guess
        sampler, folder = self.holder.model, self._folder
        if sampler is None or folder is None:
            folder = self._find()
            reason = self._explain(folder)
            if folder is None or reason:
                return EngineStatus(reason, LACKS.get(reason.key, '') if reason else '')
            self._use_kind(read_kind(folder) or SMALL)
        rung = None if sampler is None else sampler.rung
        return EngineStatus(
            slow = self.budget.explain_slow(folder),
            predict_memory = partial(self.budget.predict_use, folder, rung))

    def _explain(self, folder: Path | None) -> Text | None:
        """Explain why the engine cannot work; None when it can."""
        if self._are_libraries_coming():
            return COMING
        if missing := missing_libraries(*LIBRARIES):
            return text(
                'engines.no_libraries', engine = text('page.wan'), libraries = ', '.join(missing))
        name = get_public_name(self.own.model_name)
        if folder is None:
            # nobody should fetch gigabytes that are of no use here
            return self.budget.explain_processor() or text('engines.no_weights', model = name)
        if read_kind(folder) is None:
            return text('engines.wan_other_kind', model = name)
        return self.budget.explain_refusal(folder)

    def load(self) -> None:
        self.holder.load(self._load)

    def _load(self) -> Sampler:
        was_slow = self.budget.explain_slow(self._require_checkpoint())
        device = loader.find_device(self.model.device, 'WanImageToVideoPipeline')
        self.budget.use_device(*device)
        # the device may not be the one that was expected
        folder = self._require_checkpoint()
        if (slow := self.budget.explain_slow(folder)) and not was_slow:
            # most likely nobody has asked for this engine; whoever does is not refused again
            raise errors.EngineUnavailable('engine', engine = 'wan', reason = slow)
        self._folder = folder
        is_tested = not self.budget.device.startswith('cpu')
        sampler = loader.load_model(self._load_sampler, folder, is_tested)
        logger.info('Wan is ready; Memory = %s', sampler.rung.name)
        return sampler

    def _load_sampler(self, folder: Path, is_full: bool) -> Sampler:
        self.budget.is_full = is_full
        source = self.budget.find_source(folder)
        kind, usual = self.budget.plan_usual(folder)
        self._use_kind(kind)
        identity = identify_encoder(folder, str(source.get_dtype()))
        texts = TextCache(self._home, identity, partial(pipeline.embed_texts, source))
        usual_texts = choose_texts(self.own)
        # what reads texts needs the memory that the rest will take
        texts.embed(*usual_texts)
        pipe = pipeline.load_pipeline(source)
        # what is free counts once the weights have taken their room in main memory
        placed = PlacedPipeline(pipe, self.budget.device, self.budget.choose_rung(folder))
        image = Image.effect_noise((usual.width, usual.height), 64).convert('RGB')
        shortest = Wanted(image, dataclasses.replace(usual, steps = 1), usual_texts, 0)
        return Sampler(placed, texts, partial(self.budget.is_tiled, folder), shortest)

    def _use_kind(self, kind: Kind) -> None:
        self._kind, self.fps = kind, float(kind.fps)
        self.usual_seconds: float = self.model.seconds or find_usual_seconds(
            self.own, kind, self.model.preset)

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
            'Tiles': sampler.was_tiled,
            'Prompt': positive,
            'NegativePrompt': negative
        }

    def animate(self, photo: 'Photo', request: 'AnimationRequest',
                control: JobControl) -> 'numpy.ndarray':
        clip, fit = self.plan(photo.full_size, request)

        def report_in_shape(progress: Progress) -> None:
            picture = progress.picture
            if picture is not None:
                picture = fitting.restore_shape(picture, fit)
            control.report(dataclasses.replace(progress, picture = picture))

        clip_control = ClipControl(report_in_shape, control.stop_if_cancelled,
                                   partial(fitting.fit_to_result, fit = fit))

        texts = choose_texts(self.own, request.prompt, request.negative_prompt)
        wanted = Wanted(fitting.fit_to_model(photo.image, fit), clip, texts, request.seed)
        return self.holder.make_clip(lambda sampler: sampler.make(wanted, clip_control),
                                     clip_control)

    def plan(self, photo: tuple[int, int], request: 'AnimationRequest') -> tuple[Clip, Fit]:
        """
        Decide on all sizes.

        :param photo: width and height of the upright photo
        :type photo: tuple[int, int]
        :param request: what is wanted
        :type request: AnimationRequest
        :return: what is made, and how the photo meets it
        :rtype: tuple[Clip, Fit]
        """
        preset = PRESETS[request.preset or self.model.preset]
        seconds = request.seconds or self.model.seconds
        clip = plan_clip(self.own, self._kind, Asked(photo, preset, seconds))
        sized = dataclasses.replace(
            self.model, image_prompt_width = clip.width, image_prompt_height = clip.height)
        return clip, fitting.plan(photo, sized)

    def _require_checkpoint(self) -> Path:
        folder = self._find()
        reason = self.holder.failure or self._explain(folder)
        if folder is None or reason:
            raise errors.EngineUnavailable('engine', engine = 'wan', reason = reason)
        return folder
