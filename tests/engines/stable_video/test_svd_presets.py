#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
Presets of the Stable Video Diffusion engine: what each computes, counted, and what it leaves alone.

Libraries: pytest, torch, diffusers, numpy.
"""

import copy
import functools

import numpy
import pytest

from modules import errors, i18n
from modules.choices import PRESETS
from modules.configuration import OPTIONS, ModelOptions
from modules.engines.stable_video import presets

torch = pytest.importorskip('torch')
pytest.importorskip('diffusers')

import diffusers  # noqa: E402
import tiny_checkpoint  # noqa: E402
from tiny_svd import animate, loaded, made, photo, pictures, reason, request  # noqa: E402

from modules.engines.diffusion.compiling import Layers  # noqa: E402
from modules.engines.stable_video.denoising import Denoiser, OneToken  # noqa: E402

#: as many steps as usual, of clips as small as there are
STEPS = {
    'inference_steps': 25,
    'image_prompt_width': 64,
    'image_prompt_height': 64,
    'output_frames': 3
}


@pytest.fixture(scope = 'module')
def engine(checkpoint):
    return loaded(checkpoint, **STEPS)


@pytest.fixture(scope = 'module')
def made_once(engine):
    """What :func:`work` tells of a preset's clip, which is made once for all tests."""
    return functools.cache(lambda preset: work(engine, preset = preset))


@pytest.fixture(scope = 'module')
def one_by_one(checkpoint):
    """A preset's frames, decoded one by one."""
    engine = loaded(checkpoint, decode_chunk_size = 1, **STEPS)
    return functools.cache(lambda preset: animate(engine, photo(), request(preset = preset)))


def work(engine, **wanted):
    """How often the first and the deepest layers are computed, and for how many halves."""
    seen = {'first': [], 'deepest': []}
    unet = engine.holder.model.placed.pipe.unet
    hooks = [
        layer.register_forward_hook(
            lambda _layer, inputs, _made, name = name: seen[name].append(len(inputs[0]) // 3))
        for name, layer in (('first', unet.conv_in), ('deepest', unet.mid_block.resnets[0]))
    ]
    reports = []
    try:
        frames = animate(engine, photo(), request(**wanted), reports.append)
    finally:
        for hook in hooks:
            hook.remove()
    return seen, frames, reports


def test_every_preset_of_the_interface_is_one_of_the_engine():
    assert tuple(presets.TABLE) == PRESETS
    for name in PRESETS:
        assert OPTIONS['ModelOptions']['Preset'].metadata['parse'](name) == name


def test_quality_computes_every_step_in_full(made_once):
    seen, _, _ = made_once('quality')
    assert seen == {'first': [2] * 25, 'deepest': [2] * 25}


def test_balanced_makes_fewer_steps_and_ends_without_guidance(made_once):
    seen, frames, reports = made_once('balanced')
    assert seen['first'] == seen['deepest'] == [2] * 11 + [1] * 4
    assert [progress.steps for progress in reports if progress.phase == 'step'] == [15] * 15
    assert frames.std() > 1


def test_fast_computes_deep_layers_in_every_third_step(made_once):
    seen, frames, _ = made_once('fast')
    assert seen['first'] == [2] * 11 + [1] * 4
    assert seen['deepest'] == [2] * 4 + [1]
    assert frames.std() > 1


def test_draft_is_smaller_and_shorter():
    applied = presets.apply('draft', ModelOptions()).model
    assert (applied.image_prompt_width, applied.image_prompt_height) == (640, 384)
    assert (applied.output_frames, applied.inference_steps) == (14, 15)
    smallest = ModelOptions(image_prompt_width = 64, image_prompt_height = 64, output_frames = 5)
    applied = presets.apply('draft', smallest).model
    assert (applied.image_prompt_width, applied.output_frames) == (64, 5)


def test_a_draft_comes_out_smaller(checkpoint):
    engine = loaded(checkpoint, output_frames = 15)
    frames = animate(engine, photo(), request(preset = 'draft'))
    assert frames.shape[0] == 14 and frames.shape[2] < 128


def test_few_steps_are_not_made_fewer():
    for steps, made_of in ((25, 15), (20, 12), (15, 12), (10, 10), (1, 1), (100, 60)):
        model = ModelOptions(inference_steps = steps)
        assert presets.apply('fast', model).model.inference_steps == made_of


def test_without_guidance_nothing_is_left_out(engine):
    seen, _, _ = work(engine, preset = 'balanced', max_guidance_scale = 1.0)
    assert seen['first'] == [1] * 15


def test_the_preset_of_the_options_holds_where_none_is_asked_for(checkpoint, made_once):
    seen, frames, _ = work(loaded(checkpoint, preset = 'balanced', **STEPS))
    assert len(seen['first']) == 15
    assert numpy.array_equal(frames, made_once('balanced')[1])


@pytest.mark.parametrize('preset', ['balanced', 'fast', 'draft'])
def test_a_preset_leaves_the_next_clip_exact(engine, made_once, preset):
    expected = made_once('quality')[1]
    animate(engine, photo(), request(preset = preset))
    assert numpy.array_equal(animate(engine, photo(), request()), expected)


@pytest.mark.parametrize('preset', ['balanced', 'fast'])
@pytest.mark.parametrize('rung', ['split', 'single'])
def test_presets_work_on_frugal_rungs(checkpoint, one_by_one, preset, rung):
    frugal = loaded(checkpoint, memory = rung, decode_chunk_size = 1, **STEPS)
    frames = animate(frugal, photo(), request(preset = preset)).astype(int)
    assert numpy.abs(frames - one_by_one(preset)).max() <= 1


def test_a_clip_cut_short_keeps_nothing_for_the_next(engine, made_once):
    expected = made_once('fast')[1]

    def stop():
        if seen and seen[-1].step == 5:
            raise errors.Cancelled

    seen = []
    with pytest.raises(errors.Cancelled):
        animate(engine, photo(), request(preset = 'fast', seed = 99), seen.append, stop)
    denoiser = engine.holder.model.placed.denoiser
    assert not denoiser._cache and not denoiser._inputs
    assert numpy.array_equal(animate(engine, photo(), request(preset = 'fast')), expected)


def test_last_layers_given_what_reached_them_say_what_the_whole_says(checkpoint):
    """So what a step between whole ones leaves out is what was kept, and nothing else."""
    unet = diffusers.UNetSpatioTemporalConditionModel.from_pretrained(
        checkpoint / 'unet', variant = 'fp16').float()
    denoiser = Denoiser(unet, Layers(unet, kinds = ()))
    denoiser.begin(presets.TABLE['fast'])
    chance = torch.Generator().manual_seed(0)
    inputs = (torch.randn(2, 5, 8, 8, 16, generator = chance), torch.tensor(0.7),
              torch.randn(2, 1, 32, generator = chance), torch.randn(2, 3, generator = chance))
    with torch.no_grad():
        whole = unet(*inputs, return_dict = False)[0]
        cached = torch.cat([denoiser._cache[half] for half in (0, 1)])
        last = denoiser._compute_last_layers(*inputs, cached)
    assert torch.equal(whole, last)


def calls(unet, part):
    """Grows with each time that a part of attention to the photo is computed."""
    seen = []
    for name, layer in unet.named_modules():
        if name.endswith(f'attn2.{part}'):
            layer.register_forward_hook(lambda *given: seen.append(given))
    return seen


@pytest.fixture(scope = 'module')
def wide():
    """A UNet whose layers are wide enough for a processor to make sums in another order for fewer rows."""
    torch.manual_seed(0)
    return diffusers.UNetSpatioTemporalConditionModel(
        down_block_types = ('CrossAttnDownBlockSpatioTemporal', 'DownBlockSpatioTemporal'),
        up_block_types = ('UpBlockSpatioTemporal', 'CrossAttnUpBlockSpatioTemporal'),
        block_out_channels = (64, 128),
        num_attention_heads = (1, 2),
        layers_per_block = 1)


def inputs_of(wide, size, dtype):
    """A copy of the UNet, and what it may be called with: a sample, and the conditions that it is given with it."""
    chance = torch.Generator().manual_seed(0)
    sample, context, numbers = (
        torch.randn(2, *shape, generator = chance).to(dtype) for shape in (size, (1, 1024), (3, )))
    return copy.deepcopy(wide).to(dtype), sample, (torch.tensor(0.7), context, numbers)


def replace_forward(unet, is_split):
    denoiser = Denoiser(unet, Layers(unet, kinds = ()))
    denoiser.is_split = is_split
    denoiser.begin(presets.TABLE['quality'])


@pytest.fixture
def set_threads():
    yield torch.set_num_threads
    torch.set_num_threads(1)


# at half precision a processor takes ten times as long
@pytest.mark.parametrize(('dtype', 'size'), [(torch.float32, (5, 8, 16, 16)),
                                             (torch.float32, (1, 8, 16, 16)),
                                             (torch.float16, (2, 8, 8, 8))])
@pytest.mark.parametrize('threads', [1, 2])
@pytest.mark.parametrize('is_split', [False, True])
def test_one_token_attention_equals_that_of_diffusers_bit_for_bit(wide, set_threads, threads,
                                                                  is_split, dtype, size):
    """However often it is computed: whatever is asked, the photo's one token answers."""
    unet, sample, conditions = inputs_of(wide, size, dtype)
    halves = [slice(0, 1), slice(1, 2)] if is_split else [slice(0, 2)]
    set_threads(threads)
    with torch.no_grad():
        expected = torch.cat([
            unet(sample[half], conditions[0], *(each[half] for each in conditions[1:]))[0]
            for half in halves
        ])
        replace_forward(unet, is_split)
        queried = calls(unet, 'to_q')
        for _step in range(2):
            assert torch.equal(unet(sample, *conditions)[0], expected) and not queried


@pytest.mark.parametrize('is_split', [False, True])
def test_one_token_attention_is_computed_in_one_step_only(wide, is_split):
    """Of small whole numbers, whose sums are the same in every order, so on every processor."""
    unet, sample, (noise, context, numbers) = inputs_of(wide, (2, 8, 8, 8), torch.float32)
    for name, weights in unet.named_parameters():
        if '.attn2.' in name:
            weights.data = weights.data.sign()
    replace_forward(unet, is_split)
    valued, projected = (calls(unet, part) for part in ('to_v', 'to_out.0'))
    with torch.no_grad():
        for _step in range(2):
            unet(sample, noise, context.round(), numbers)
            assert len(valued) == len(projected) == 8 * (2 if is_split else 1)


class Uneven:
    """A layer whose rows are not all computed alike."""

    rescale_output_factor = 1.0
    to_v = staticmethod(torch.nn.Identity())

    def __init__(self):
        self.to_out = [lambda value: value + torch.arange(value.shape[1]).reshape(1, -1, 1)]


def test_what_is_not_the_same_for_every_query_is_computed_in_every_step():
    one_token, layer = OneToken(), Uneven()
    one_token.cache = {}
    for number in (3, 4):
        answer = one_token(layer, torch.zeros(2, 4, 1), torch.full((2, 1, 1), number))
        assert answer[:, :, 0].tolist() == [[number, number + 1, number + 2, number + 3]] * 2


def test_a_photo_is_not_answered_for_another(checkpoint):
    few = {**STEPS, 'inference_steps': 2}
    engine, other = loaded(checkpoint, **few), photo(130, 128)
    animate(engine, photo(), request())
    expected = animate(loaded(checkpoint, **few), other, request())
    assert numpy.array_equal(animate(engine, other, request()), expected)


def test_nothing_is_kept_between_clips(checkpoint):
    unet = loaded(checkpoint).holder.model.placed.pipe.unet
    sample, conditions = torch.zeros(2, 5, 8, 8, 16), torch.zeros(2, 3)
    with torch.no_grad():
        first, second, again = (
            unet(sample, torch.tensor(0.7), torch.full((2, 1, 32), value), conditions)[0]
            for value in (1.0, 2.0, 1.0))
    assert torch.equal(first, again) and not torch.equal(first, second)


def test_the_solver_has_the_noise_levels_of_the_checkpoint():
    own = diffusers.EulerDiscreteScheduler(**tiny_checkpoint.SCHEDULER)
    other = presets.choose_scheduler(presets.TABLE['balanced'], own)
    assert other.config.solver_order == 2
    own.alphas_cumprod = own.alphas_cumprod.numpy()
    own.set_timesteps(15)
    other.set_timesteps(15)
    assert torch.allclose(own.sigmas, other.sigmas, rtol = 1e-5)
    assert torch.allclose(own.timesteps, other.timesteps, atol = 1e-5)
    assert float(own.init_noise_sigma) == pytest.approx(float(other.init_noise_sigma), rel = 1e-6)


def test_another_kind_of_scheduler_stays(caplog):
    own = diffusers.DDIMScheduler()
    assert presets.choose_scheduler(presets.TABLE['fast'], own) is own
    assert 'of another class' in caplog.text


@pytest.mark.parametrize('preset', ['balanced', 'fast'])
def test_every_step_of_a_preset_has_a_picture_and_the_last_has_no_noise(made_once, preset):
    _, _, reports = made_once(preset)
    shown = pictures(reports, 'step')
    assert len(shown) == 15 and all(picture is not None for picture in shown)
    assert not numpy.array_equal(shown[0], shown[-1])


@pytest.mark.parametrize(
    'name', ['wangfuyun/AnimateLCM-SVD-xt', 'models/animatelcm_svd', 'C:\\models\\svd-LCM\\'])
def test_a_model_of_few_steps_is_refused_by_name(name):
    assert 'few steps' in reason(made(name))


@pytest.mark.parametrize('name', ['/home/wilcmann/svd', '/lcm/svd-xt', 'somebody/lcmer-svd'])
def test_a_name_that_only_looks_like_it_is_not_refused(name):
    assert 'few steps' not in reason(made(name))


def test_a_model_of_few_steps_is_refused_by_its_scheduler(tmp_path):
    folder = tiny_checkpoint.make(tmp_path)
    file = folder / 'scheduler' / 'scheduler_config.json'
    file.write_text(file.read_text().replace('EulerDiscreteScheduler',
                                             'AnimateLCMSVDStochasticIterativeScheduler'))
    assert 'few steps' in reason(made(folder))


@pytest.mark.parametrize('language', i18n.LANGUAGES)
def test_the_page_has_words_for_every_preset(language):
    page = i18n.words(language)['page']
    assert all(page[f'preset_{name}'] for name in presets.TABLE)
