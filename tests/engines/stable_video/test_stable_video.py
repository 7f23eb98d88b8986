#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
The Stable Video Diffusion engine, on the real classes with a tiny checkpoint.

Libraries: pytest, torch, diffusers, numpy, Pillow.
"""

import concurrent.futures
import functools
import gc
import logging
import shutil
import threading
from pathlib import Path

import numpy
import pytest
from PIL import Image

from modules import errors, i18n
from modules.configuration import Configuration, ModelOptions
from modules.engines.diffusion import checkpoints, devices, fitting, ladder
from modules.engines.diffusion.budget import GIB
from modules.engines.diffusion.decoding import ClipControl, Decoder
from modules.engines.diffusion.preview import project_latents
from modules.engines.stable_video import memory, presets
from modules.engines.stable_video import pipeline as pipelines
from modules.engines.stable_video import preview as previews
from modules.engines.stable_video.engine import StableVideo
from modules.engines.stable_video.placed import PlacedPipeline
from modules.engines.stable_video.sampler import Sampler
from modules.photos.sizes import Photo
from modules.progress import Progress

torch = pytest.importorskip('torch')
pytest.importorskip('diffusers')

import tiny_checkpoint  # noqa: E402
import tiny_svd  # noqa: E402
from diffusers import EulerDiscreteScheduler  # noqa: E402
from tiny_svd import animate, load_plainly, loaded, made, photo, reason, reference, request  # noqa: E402

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope = 'module')
def plain_checkpoint(tmp_path_factory):
    return tiny_checkpoint.make(tmp_path_factory.mktemp('plain'), half = False)


@pytest.fixture(scope = 'module')
def engine(checkpoint):
    return loaded(checkpoint)


@pytest.fixture(scope = 'module')
def plain(checkpoint):
    """The pipeline as anybody would load it."""
    return load_plainly(checkpoint, 'fp16')


@pytest.fixture(scope = 'module')
def expected(plain):
    """A plain call's clip, made once."""
    return reference(plain, photo(), request())


@pytest.fixture(scope = 'module')
def one_by_one(plain):
    """The same, decoded one by one."""
    return reference(plain, photo(), request(), chunk = 1).astype(int)


def raising(error):
    """What breaks at the second step."""

    def on_progress(progress):
        if progress.step == 2:
            raise error

    return on_progress


def test_frames_equal_a_plain_call_bit_for_bit(engine, expected):
    frames = animate(engine, photo(), request())
    assert frames.dtype == numpy.uint8 and frames.std() > 1
    assert numpy.array_equal(frames, expected)


def test_portrait_frames_equal_a_plain_call_bit_for_bit(engine, plain):
    frames = animate(engine, photo(128, 256), request())
    assert numpy.array_equal(frames, reference(plain, photo(128, 256), request(), size = (64, 128)))


def test_chunks_are_decoded_as_a_plain_call_does(checkpoint, plain):
    frames = animate(loaded(checkpoint, decode_chunk_size = 2), photo(), request())
    assert numpy.array_equal(frames, reference(plain, photo(), request(), chunk = 2))


def test_every_parameter_reaches_the_model(engine, plain, expected):
    wanted = request(
        motion_bucket_id = 30, noise_aug_strength = 0.5, max_guidance_scale = 1.0, seed = 2**32 - 1)
    frames = animate(engine, photo(), wanted)
    assert numpy.array_equal(frames, reference(plain, photo(), wanted))
    assert not numpy.array_equal(frames, expected)


def test_the_speed_told_to_the_model_is_that_of_the_options(checkpoint, plain):
    frames = animate(loaded(checkpoint, conditioning_fps = 12), photo(), request())
    assert numpy.array_equal(frames, reference(plain, photo(), request(), fps = 12))


def test_a_seed_gives_the_same_clip_again_and_another_seed_another(engine):
    first, again = (animate(engine, photo(), request(seed = 1)) for _ in range(2))
    assert numpy.array_equal(first, again)
    assert not numpy.array_equal(first, animate(engine, photo(), request(seed = 2)))


def test_a_checkpoint_without_half_precision_files_works(plain_checkpoint):
    frames = animate(loaded(plain_checkpoint), photo(), request())
    expected = reference(load_plainly(plain_checkpoint, None), photo(), request())
    assert numpy.array_equal(frames, expected)


def test_a_long_clip_goes_on_from_its_last_frame(checkpoint, plain, expected):
    engine, seen = loaded(checkpoint, output_fps = 9, decode_chunk_size = 2), []
    first = reference(plain, photo(), request(), chunk = 2)
    then = reference(
        plain, Photo(Image.fromarray(first[-1]), (128, 64)), request(seed = 8), chunk = 2)
    frames = animate(engine, photo(), request(seconds = 1.0), seen.append)
    assert numpy.array_equal(frames[:5], first)
    # the second part has the colours of the frame it begins with, and begins with the next
    wanted, found = (each.reshape(-1, 3).astype(float) for each in (first[-1], then[0]))
    gain = (wanted.std(0) / found.std(0)).clip(0.8, 1.25)
    joined = (then - found.mean(0)) * gain + wanted.mean(0)
    assert numpy.abs(frames[5:] - joined.clip(0, 255)[1:]).max() <= 0.51
    assert numpy.abs(then[1:] - joined[1:]).max() > 2
    steps = [(each.step, each.steps) for each in seen if each.phase == 'step']
    assert steps == sorted(steps) and steps[-1] == (6, 6)
    phases = [each.phase for each in seen]
    assert [name for name, before in zip(phases, ['', *phases], strict = False)
            if name != before] == ['encoding', 'step', 'decoding']
    notes = [each.note.key for each in seen if each.note]
    assert notes == ['engines.continued', 'engines.drifted']
    assert engine.settings(request(seconds = 1.0))['Seconds'] is None


@pytest.mark.parametrize(('wanted', 'usual', 'preset', 'count'), [(None, None, 'quality', 25),
                                                                  (None, 2, 'quality', 30),
                                                                  (1, 2, 'quality', 15),
                                                                  (None, None, 'draft', 14),
                                                                  (10, None, 'draft', 150)])
def test_a_clip_has_as_many_frames_as_its_length_says(wanted, usual, preset, count):
    applied = presets.apply(preset, ModelOptions(), wanted or usual)
    assert applied.frames == count
    assert applied.count_parts() == -(-(count - 1) // (applied.model.output_frames - 1))


def test_a_short_clip_ends_early(checkpoint, expected):
    engine = loaded(checkpoint, output_fps = 3)
    assert numpy.array_equal(animate(engine, photo(), request(seconds = 1.0)), expected[:3])


def test_a_model_that_makes_one_frame_makes_no_long_clip():
    assert presets.apply('quality', ModelOptions(output_frames = 1), 9).count_parts() == 1


@pytest.mark.parametrize('size', [(300, 200), (200, 300), (200, 200), (60, 40), (1000, 100)])
def test_the_clip_has_the_aspect_ratio_of_the_photo(size):
    for how in ('stretch', 'pad'):
        fit = fitting.plan(size, ModelOptions(image_fit = how))
        width, height = fit.result
        assert abs(width - height * size[0] / size[1]) <= 1 + size[0] / size[1]
        assert width <= size[0] and height <= size[1]


def test_a_cropped_clip_has_the_aspect_ratio_of_the_crop():
    fit = fitting.plan((4000, 3000), ModelOptions(image_fit = 'crop'))
    assert fit.model == fit.result == (1024, 576)


def test_a_square_is_landscape_and_taller_than_wide_is_portrait():
    assert fitting.plan((100, 100), ModelOptions()).model == (1024, 576)
    assert fitting.plan((100, 101), ModelOptions()).model == (576, 1024)


@pytest.mark.parametrize('how', ['stretch', 'pad'])
@pytest.mark.parametrize('size', [(640, 480), (480, 640), (2000, 500)])
def test_a_photo_returns_from_the_size_of_the_model_in_its_own_shape(how, size):
    """The corners of the photo are those of the clip: nothing is cut off, no bar is left."""
    across, down = numpy.meshgrid(numpy.linspace(0, 255, size[0]), numpy.linspace(0, 255, size[1]))
    image = Image.fromarray(numpy.stack([across, down, down], axis = 2).astype(numpy.uint8))
    fit = fitting.plan(size, ModelOptions(image_fit = how))
    clip = fitting.fit_to_result(numpy.asarray(fitting.fit_to_model(image, fit))[None], fit)
    expected = numpy.asarray(image.resize(fit.result)).astype(int)
    assert numpy.abs(clip[0] - expected).max() < 6


def test_a_crop_is_taken_from_the_middle():
    image = Image.new('RGB', (400, 800), 'black')
    image.paste('white', (0, 200, 400, 600))
    fit = fitting.plan(image.size, ModelOptions(image_fit = 'crop'))
    assert numpy.asarray(fitting.fit_to_model(image, fit))[300:700].min() == 255


@pytest.mark.parametrize('how', ['stretch', 'crop', 'pad'])
def test_frames_have_the_size_that_was_planned(checkpoint, how):
    engine = loaded(checkpoint, image_fit = how, inference_steps = 1)
    frames = animate(engine, photo(150, 100), request())
    width, height = fitting.plan((150, 100), engine.model).result
    assert frames.shape == (5, height, width, 3)


@pytest.mark.parametrize('how', ['stretch', 'crop', 'pad'])
@pytest.mark.parametrize('size', [(300, 200), (200, 300)])
def test_however_a_photo_is_fitted_the_frames_are_those_of_a_plain_call(
        checkpoint, plain, how, size):
    engine, picture = loaded(checkpoint, image_fit = how, inference_steps = 1), photo(*size)
    fit = fitting.plan(size, engine.model)
    seen = Photo(fitting.fit_to_model(picture.image, fit), fit.model)
    expected = fitting.fit_to_result(reference(plain, seen, request(), fit.model, steps = 1), fit)
    assert numpy.array_equal(animate(engine, picture, request()), expected)


def test_two_requests_at_once_do_not_disturb_each_other(engine, plain):
    wanted = [request(max_guidance_scale = scale, seed = 3) for scale in (3.0, 1.0)]
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        clips = list(pool.map(lambda one: animate(engine, photo(), one), wanted))
    for clip, one in zip(clips, wanted, strict = True):
        assert numpy.array_equal(clip, reference(plain, photo(), one))


def test_a_cancelled_clip_ends_within_a_step_and_the_next_one_is_exact(checkpoint, plain):
    engine, seen = loaded(checkpoint, inference_steps = 6), []

    def stop():
        if seen and seen[-1].step == 2:
            raise errors.Cancelled

    with pytest.raises(errors.Cancelled):
        animate(engine, photo(), request(), seen.append, stop)
    assert [progress.step for progress in seen if progress.phase == 'step'] == [1, 2]
    frames = animate(engine, photo(), request())
    assert numpy.array_equal(frames, reference(plain, photo(), request(), steps = 6))


def test_a_clip_can_be_cancelled_while_it_is_decoded(checkpoint):
    engine, seen = loaded(checkpoint, decode_chunk_size = 1), []

    def stop():
        if seen and seen[-1] == Progress('decoding', 1, 5):
            raise errors.Cancelled

    with pytest.raises(errors.Cancelled):
        animate(engine, photo(), request(), seen.append, stop)


def test_parts_that_take_turns_on_the_device_give_the_same_frames(checkpoint, expected):
    engine = loaded(checkpoint)
    engine.holder.model.take(ladder.RUNGS[1])
    assert numpy.array_equal(animate(engine, photo(), request()), expected)
    with pytest.raises(errors.Cancelled):
        animate(engine, photo(), request(), raising(errors.Cancelled()))
    assert numpy.array_equal(animate(engine, photo(), request()), expected)


def test_half_precision_frames_equal_a_plain_call_bit_for_bit(checkpoint):
    """What a GPU computes with: the VAE changes to 32 bits and back on the way."""
    small = {'image_prompt_width': 64, 'output_frames': 2, 'inference_steps': 1}
    engine = loaded(checkpoint, **small)
    half = pipelines.load_pipeline(pipelines.Source(checkpoint, 'fp16', True))
    placed = PlacedPipeline(half, 'cpu', ladder.RUNGS[0], None)
    engine.holder.model = Sampler(placed, engine.holder.model._read_needs,
                                  presets.apply('quality', engine.model))
    plain = load_plainly(checkpoint, 'fp16', torch.float16)
    wanted = request(max_guidance_scale = 1.0)
    frames = animate(engine, photo(128, 128), wanted)
    expected = reference(plain, photo(128, 128), wanted, (64, 64), chunk = 2, frames = 2, steps = 1)
    assert numpy.array_equal(frames, expected)


def test_who_waits_for_the_pipeline_can_cancel(engine):
    busy, go_on = threading.Event(), threading.Event()

    def hold(progress):
        busy.set()
        go_on.wait(20)

    def stop():
        raise errors.Cancelled

    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        first = pool.submit(animate, engine, photo(), request(), hold)
        busy.wait(20)
        with pytest.raises(errors.Cancelled):
            animate(engine, photo(), request(), stop = stop)
        go_on.set()
        assert first.result(20).any()


def test_tells_the_options_that_change_the_clip_as_they_were_used(checkpoint):
    engine = loaded(checkpoint, image_fit = 'pad')
    assert engine.settings(request()) == {
        'ModelName': checkpoint.name,
        'OutputFPS': 15,
        'OutputFrames': 5,
        'ConditioningFPS': 7,
        'InferenceSteps': 3,
        'DecodeChunkSize': 5,
        'UNet': False,
        'Memory': 'resident',
        'ImagePromptWidth': 128,
        'ImagePromptHeight': 64,
        'ImageFit': 'pad',
        'Seconds': None
    }
    assert loaded(checkpoint, output_fps = 4).settings(request())['Seconds'] == 1.25
    assert loaded(checkpoint, decode_chunk_size = 2).settings(request())['DecodeChunkSize'] == 2


@pytest.mark.parametrize(
    ('name', 'shown'),
    [('stabilityai/stable-video-diffusion-img2vid', 'stabilityai/stable-video-diffusion-img2vid'),
     ('/home/somebody/models/mine/', 'mine'), ('C:\\Users\\somebody\\mine', 'mine'),
     ('~/mine', 'mine'), ('../mine', 'mine'), ('tests/mine', 'tests/mine'), ('mine', 'mine')])
def test_tells_a_models_place_on_the_hub_and_never_where_its_folder_is(checkpoint, name, shown):
    assert named(checkpoint, name).settings(request())['ModelName'] == shown


def named(checkpoint, name):
    """An engine whose weights lie in one place and go by another name."""
    model = ModelOptions(model_name = name, **tiny_svd.OPTIONS)
    engine = StableVideo(Configuration(model = model), lambda configuration: checkpoint)
    engine.load()
    return engine


def test_the_rung_is_chosen_once_the_weights_have_taken_their_memory(checkpoint, monkeypatch):
    engine, order = made(checkpoint), []
    load, choose = pipelines.load_pipeline, engine.budget.choose_rung
    monkeypatch.setattr(pipelines, 'load_pipeline', lambda *more:
                        (order.append('weights'), load(*more))[1])
    monkeypatch.setattr(engine.budget, 'choose_rung', lambda *more:
                        (order.append('rung'), choose(*more))[1])
    engine.load()
    assert order.index('weights') < order.index('rung')


def test_a_loaded_engine_does_not_depend_on_the_folder_it_was_loaded_from(checkpoint, tmp_path):
    folder = shutil.copytree(checkpoint, tmp_path / 'model')
    engine = loaded(folder)
    shutil.rmtree(folder)
    status = engine.status()
    assert (status.reason, status.fetchable) == (None, '')


def test_a_relative_folder_is_not_taken_for_a_place_on_the_hub(checkpoint, tmp_path, monkeypatch):
    (tmp_path / 'secret' / 'mine').mkdir(parents = True)
    monkeypatch.chdir(tmp_path)
    assert named(checkpoint, 'secret/mine').settings(request())['ModelName'] == 'mine'


def test_progress_tells_every_phase(checkpoint):
    seen = []
    animate(loaded(checkpoint, decode_chunk_size = 2), photo(), request(), seen.append)
    reports = [(progress.phase, progress.step, progress.steps) for progress in seen]
    assert reports == [('encoding', 0, 0), ('step', 1, 3), ('step', 2, 3), ('step', 3, 3),
                       ('decoding', 0, 3), ('decoding', 1, 3), ('decoding', 2, 3),
                       ('decoding', 3, 3)]


@pytest.mark.parametrize(('steps', 'within'), [(25, 1e-5), (3, 1e-5), (1, 1e-3)])
@pytest.mark.parametrize('kind', ['v_prediction', 'epsilon', 'sample'])
def test_what_is_seen_after_a_step_is_what_the_scheduler_took_the_clip_to_be(
        checkpoint, kind, steps, within):
    """One step takes all noise away at once, which 32 bits of the scheduler's own do not do exactly."""
    other = {} if kind == 'v_prediction' else {'prediction_type': kind, 'use_karras_sigmas': False}
    scheduler = EulerDiscreteScheduler.from_pretrained(checkpoint, subfolder = 'scheduler', **other)
    scheduler.alphas_cumprod = scheduler.alphas_cumprod.numpy()
    scheduler.set_timesteps(steps)
    chance = torch.Generator().manual_seed(0)
    sample = torch.randn(1, 3, 4, 8, 16, generator = chance) * scheduler.init_noise_sigma
    for time in scheduler.timesteps:
        predicted = torch.randn(sample.shape, generator = chance)
        scheduler.scale_model_input(sample, time)
        done = scheduler.step(predicted, time, sample)
        sample, expected = done.prev_sample, done.pred_original_sample
        found = previews.predict_sample(scheduler, sample, predicted)
        assert (found - expected).abs().max() < within * max(1, expected.abs().max())


def test_latents_become_the_colours_published_for_them():
    latents = numpy.zeros((4, 2, 3), numpy.float32)
    latents[:, 0, 2] = 1, 0, 0, -1
    latents[:, 1, 0] = 0, 0, 100, 0
    picture = project_latents(latents, previews.COLOURS)
    assert picture.shape == (2, 3, 3) and picture.dtype == numpy.uint8
    # (0.298 + 0.184 + 1) / 2 of 255, and so on
    assert picture[0, 2].tolist() == [189, 188, 214]
    assert picture[1, 0].tolist() == [0, 255, 255]
    assert (numpy.delete(picture.reshape(6, 3), [2, 3], 0) == 128).all()


@pytest.mark.parametrize('size', [(128, 64), (64, 128)])
def test_every_step_shows_the_middle_frame_as_it_stands(engine, plain, size):
    seen, wanted = [], request()
    animate(engine, photo(*size), wanted, seen.append)
    shown = tiny_svd.pictures(seen, 'step')
    assert [picture.shape for picture in shown] == [(size[1] // 8, size[0] // 8, 3)] * 3
    assert all(picture.dtype == numpy.uint8 for picture in shown)
    assert not numpy.array_equal(shown[0], shown[1])
    latents = plain(
        photo(*size).image,
        width = size[0],
        height = size[1],
        num_frames = 5,
        num_inference_steps = 3,
        generator = torch.Generator().manual_seed(wanted.seed),
        output_type = 'latent').frames
    # no noise is left after the last step
    expected = project_latents(latents[0, 2].numpy(), previews.COLOURS).astype(int)
    assert numpy.abs(shown[-1] - expected).max() <= 1
    assert expected.std() > 1


def test_decoding_shows_frames_as_they_are_made(checkpoint):
    seen = []
    engine = loaded(checkpoint, decode_chunk_size = 2)
    frames = animate(engine, photo(200, 90), request(), seen.append)
    none, *shown = tiny_svd.pictures(seen, 'decoding')
    assert none is None and [picture.shape for picture in shown] == [frames.shape[1:]] * 3
    for picture, frame in zip(shown, (1, 3, 4), strict = True):
        assert numpy.array_equal(picture, frames[frame])


@pytest.mark.parametrize('scale', [1, 8])
@pytest.mark.parametrize('how', ['stretch', 'pad', 'crop'])
@pytest.mark.parametrize('size', [(640, 480), (480, 640), (3000, 400), (16, 9), (2, 1999)])
def test_a_preview_has_the_shape_of_the_clip(how, size, scale):
    across, down = numpy.meshgrid(numpy.linspace(0, 255, size[0]), numpy.linspace(0, 255, size[1]))
    image = Image.fromarray(numpy.stack([across, down, down], axis = 2).astype(numpy.uint8))
    fit = fitting.plan(size, ModelOptions(image_fit = how))
    model = fitting.fit_to_model(image, fit)
    width, height = (side // scale for side in model.size)
    picture = fitting.restore_shape(numpy.asarray(model.resize((width, height))), fit)
    whole = model if how == 'crop' else image
    expected = numpy.asarray(whole.resize(picture.shape[1::-1])).astype(int)
    assert picture.shape[1::-1] == tuple(max(1, round(side / scale)) for side in fit.result)
    if min(picture.shape[:2]) > 8:
        assert numpy.abs(picture - expected).max() < 20


def test_where_there_is_nothing_to_see_there_is_no_picture(caplog):
    scheduler = EulerDiscreteScheduler(**tiny_checkpoint.SCHEDULER)
    scheduler.alphas_cumprod = scheduler.alphas_cumprod.numpy()
    scheduler.set_timesteps(2)
    sound = torch.zeros(1, 3, 4, 8, 8)
    scheduler.scale_model_input(sound, scheduler.timesteps[0])
    scheduler.step(sound, scheduler.timesteps[0], sound)
    for value in (float('nan'), float('inf')):
        broken = {**dict.fromkeys(previews.TENSORS, sound), 'latents': sound + value}
        assert previews.preview_frame(scheduler, broken) is None
    assert previews.preview_frame(scheduler, dict.fromkeys(previews.TENSORS,
                                                           sound[:, :, :3])) is None
    # what has no memory of its own stands for what no memory is left for
    out_of_reach = dict.fromkeys(previews.TENSORS, sound.to('meta'))
    assert previews.preview_frame(scheduler, out_of_reach) is None and 'no preview' in caplog.text
    assert previews.preview_frame(scheduler, dict.fromkeys(previews.TENSORS, sound)) is not None


def test_numbers_that_are_none_give_no_picture_and_the_same_refusal(checkpoint):
    engine, seen = loaded(checkpoint), []
    torch.nn.init.constant_(engine.holder.model.placed.pipe.unet.conv_out.bias, float('nan'))
    with pytest.raises(errors.UnusablePicture):
        animate(engine, photo(), request(), seen.append)
    assert not tiny_svd.pictures(seen, 'step'), 'no later step is made in vain'


def test_another_kind_of_scheduler_has_no_pictures_and_its_clip_is_exact(checkpoint, expected):

    class Relative(EulerDiscreteScheduler):
        """It might step in another way."""

    engine, seen = loaded(checkpoint), []
    sampler = engine.holder.model
    sampler.placed.scheduler = Relative.from_config(sampler.placed.scheduler.config)
    sampler.placed.scheduler.alphas_cumprod = sampler.placed.scheduler.alphas_cumprod.numpy()
    frames = animate(engine, photo(), request(), seen.append)
    assert tiny_svd.pictures(seen, 'step') == [None] * 3
    assert numpy.array_equal(frames, expected)


def tensors():
    """How many tensors are alive."""
    gc.collect()
    return sum(map(is_tensor, map(type, gc.get_objects())))


@functools.cache
def is_tensor(kind):
    return issubclass(kind, torch.Tensor)


@pytest.mark.parametrize('error', [errors.Cancelled, torch.OutOfMemoryError])
@pytest.mark.parametrize('phase', ['encoding', 'step', 'decoding'])
def test_a_clip_cut_short_holds_no_memory(checkpoint, phase, error):
    small = {'image_prompt_width': 64, 'output_frames': 3, 'inference_steps': 2}
    engine = loaded(checkpoint, decode_chunk_size = 2, memory = 'single', **small)
    animate(engine, photo(), request())
    before = tensors()

    def cut(progress):
        if (progress.phase, progress.step) in ((phase, 0), (phase, 2)):
            raise error

    expected = errors.Cancelled if error is errors.Cancelled else errors.OutOfMemory
    with pytest.raises(expected) as kept:
        animate(engine, photo(), request(), cut)
    assert tensors() == before, kept


def test_a_model_that_decodes_to_nothing_is_refused_instead_of_shown(checkpoint):
    engine = loaded(checkpoint)
    torch.nn.init.constant_(engine.holder.model.placed.pipe.vae.decoder.conv_out.bias, float('nan'))
    with pytest.raises(errors.UnusablePicture):
        animate(engine, photo(), request())


def test_a_model_that_decodes_to_black_is_refused_instead_of_shown(checkpoint):
    engine = loaded(checkpoint)
    torch.nn.init.constant_(engine.holder.model.placed.pipe.vae.decoder.conv_out.bias, -1e4)
    with pytest.raises(errors.UnusablePicture):
        animate(engine, photo(), request())


def test_numbers_that_overflow_while_denoising_are_refused(checkpoint):
    engine = loaded(checkpoint)
    torch.nn.init.constant_(engine.holder.model.placed.pipe.unet.conv_out.bias, float('inf'))
    with pytest.raises(errors.UnusablePicture):
        animate(engine, photo(), request())


def test_what_overflows_at_half_precision_is_decoded_again_in_full(checkpoint, caplog):
    pipe = load_plainly(checkpoint, 'fp16')
    # what the first layer gives is brought back into range by the next norm, if it survives until there
    with torch.no_grad():
        pipe.vae.decoder.conv_in.weight *= 6e4
    latents = torch.randn(1, 4, 4, 8, 8, generator = torch.Generator().manual_seed(0))
    pipe.vae.to(dtype = torch.float16)
    with torch.no_grad(), caplog.at_level(logging.WARNING):
        decoder = Decoder(pipe.vae, lambda part: pipe.decode_latents(part, *[part.shape[1]] * 2),
                          pipe.video_processor)
        frames = decoder.decode(latents.half(), 4, ClipControl())
        assert 'in 32 bits' in caplog.text and pipe.vae.dtype == torch.float16
        pipe.vae.to(dtype = torch.float32)
        parts = [
            pipe.decode_latents(part, 2, 2) for part in latents.half().float().split(2, dim = 1)
        ]
    expected = torch.cat(parts, dim = 2)[0].permute(1, 2, 3, 0).numpy() / 2 + 0.5
    assert numpy.abs(frames / 255 - expected.clip(0, 1)).max() < 0.01


@pytest.mark.parametrize('error', [
    torch.OutOfMemoryError('CUDA out of memory.'),
    RuntimeError('MPS backend out of memory (allocated: 8 GB)'),
    RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"),
    MemoryError()
])
def test_too_little_memory_is_told_as_such_and_the_next_clip_is_exact(checkpoint, one_by_one,
                                                                      error):
    engine = loaded(checkpoint, memory = 'single')
    with pytest.raises(errors.OutOfMemory):
        animate(engine, photo(), request(), raising(error))
    assert numpy.abs(animate(engine, photo(), request()) - one_by_one).max() <= 1


def test_other_errors_are_not_taken_for_lack_of_memory(engine):
    error = RuntimeError('mat1 and mat2 shapes cannot be multiplied')
    with pytest.raises(RuntimeError, match = 'shapes'):
        animate(engine, photo(), request(), raising(error))


def test_a_clip_cut_short_while_encoding_leaves_the_precision_as_it_was(checkpoint):
    engine = loaded(checkpoint)
    engine.holder.model.placed.pipe.vae.to(dtype = torch.float64)
    with pytest.raises(RuntimeError):
        animate(engine, photo(), request(), stop = lambda: None)
    assert engine.holder.model.placed.pipe.vae.dtype == torch.float32
    assert animate(engine, photo(), request()).any()


def test_importing_and_asking_leaves_torch_alone(checkpoint):
    code = (
        'import sys, modules.engines.stable_video.engine as s; from modules.configuration import *;'
        f'e = s.StableVideo(Configuration(model = ModelOptions(model_name = {str(checkpoint)!r})));'
        'assert e.status().reason is None, e.status().reason; e.status().warnings;'
        "assert not {'torch', 'diffusers', 'transformers'} & set(sys.modules)")
    done = tiny_svd.run_python(code)
    assert done.returncode == 0, done.stderr


def test_loading_and_animating_connects_to_nothing_and_warns_of_nothing(checkpoint):
    code = f'''
import sys
def audit(event, arguments):
    if event in ('socket.connect', 'socket.getaddrinfo'):
        print('CONNECTS', arguments, file = sys.stderr)
        raise SystemExit(1)
sys.addaudithook(audit)
import tiny_svd as t
clip = t.animate(t.loaded({str(checkpoint)!r}), t.photo(), t.request())
assert clip.shape == (5, 64, 128, 3)
'''
    done = tiny_svd.run_python(code)
    assert done.returncode == 0 and 'CONNECTS' not in done.stderr, done.stderr
    assert 'eprecat' not in done.stderr and '%|' not in done.stderr


def test_says_which_libraries_are_missing(checkpoint):
    code = (
        'import sys, numpy, PIL.ImageOps, pillow_heif, modules.engines.stable_video.engine as s;'
        'from modules.configuration import Configuration;'
        "sys.path[:] = [p for p in sys.path if '-packages' not in p];"
        "print(s.StableVideo(Configuration()).status().reason.in_('en'))")
    done = tiny_svd.run_python(code)
    assert 'torch, diffusers, transformers, accelerate' in done.stdout, done.stderr


def test_a_broken_torch_is_told_with_its_own_words(checkpoint, tmp_path):
    (tmp_path / 'torch.py').write_text("raise OSError('libcudart.so.12: no such file')")
    code = f'''
import modules.engines.stable_video.engine as s
from modules import errors
from modules.configuration import *
engine = s.StableVideo(Configuration(model = ModelOptions(model_name = {str(checkpoint)!r})))
try:
    engine.load()
except errors.EngineUnavailable as refusal:
    print(refusal)
print(engine.status().reason.in_('en'))
'''
    done = tiny_svd.run_python(code, tmp_path)
    assert done.stdout.count('libcudart.so.12: no such file') == 2, done.stderr


def test_says_when_there_are_no_weights(tmp_path):
    engine = made(tmp_path / 'nothing')
    assert 'nothing' in reason(engine)
    with pytest.raises(errors.EngineUnavailable):
        engine.load()


def test_weights_that_come_later_are_taken_into_use(tmp_path):
    engine = made(tmp_path)
    assert engine.status().reason
    tiny_checkpoint.make(tmp_path)
    assert engine.status().reason is None
    engine.load()


def test_says_how_much_memory_is_missing(checkpoint):
    engine = made(
        checkpoint, output_frames = 200, image_prompt_width = 4096, image_prompt_height = 4096)
    assert 'GB are available' in reason(engine)


def test_a_cpu_is_left_alone_by_auto_unless_the_model_is_small(tmp_path, checkpoint):
    for part in ('unet', 'vae', 'image_encoder', 'scheduler', 'feature_extractor'):
        (tmp_path / part).mkdir()
        for file in (checkpoint / part).iterdir():
            (tmp_path / part / file.name).write_bytes(file.read_bytes())
    (tmp_path / 'model_index.json').write_bytes((checkpoint / 'model_index.json').read_bytes())
    enlarge(tmp_path / 'unet' / 'diffusion_pytorch_model.fp16.safetensors', 2 * GIB)
    assert 'Engine = svd' in reason(made(tmp_path, device = 'cpu'))
    asked = made(tmp_path, device = 'cpu', engine = 'svd').status().reason
    assert asked is None or 'GB' in asked.in_('en')


def enlarge(file, size):
    """A safetensors file with a hole that takes no disk space, and a header that tells of it."""
    data = file.read_bytes()
    length = int.from_bytes(data[:8], 'little')
    header = data[8:8 + length].rstrip()[:-1]
    more = b',"hole":{"dtype":"F16","shape":[%d],"data_offsets":[%d,%d]}}'
    start = len(data) - 8 - length
    header += more % (size // 2, start, start + size)
    with file.open('wb') as enlarged:
        enlarged.write(len(header).to_bytes(8, 'little') + header + data[8 + length:])
        enlarged.truncate(8 + len(header) + start + size)


def test_a_device_that_is_not_there_is_refused_with_its_name(checkpoint):
    engine = made(checkpoint, device = 'cuda:63')
    with pytest.raises(errors.EngineUnavailable, match = 'cuda:63'):
        engine.load()
    assert 'cuda:63' in reason(engine)


def test_weights_that_cannot_be_loaded_are_refused_with_the_reason(tmp_path):
    folder = tiny_checkpoint.make(tmp_path)
    (folder / 'unet' / 'config.json').write_text('{"block_out_channels": [320, 640]}')
    with pytest.raises(errors.EngineUnavailable, match = 'cannot be loaded'):
        made(folder).load()


def test_warns_of_settings_that_give_mush(checkpoint, caplog):
    with caplog.at_level(logging.WARNING):
        loaded(checkpoint, output_frames = 72, conditioning_fps = 24)
    assert '25 frames, and OutputFrames is 72' in caplog.text and 'is 24' in caplog.text
    assert made(checkpoint).status().warnings == ()


@pytest.mark.parametrize(('frames', 'fitting_in', 'chunk'), [(25, 100, 25), (25, 8, 5), (14, 8, 7),
                                                             (23, 8, 8), (25, 1, 1), (25, 0, 1),
                                                             (1, 9, 1)])
def test_as_many_frames_are_decoded_at_once_as_memory_allows(frames, fitting_in, chunk):
    needs = memory.Needs(0, 0, 0, 0, 0, frame = 10**9, encoding = 0)
    available = int(fitting_in * 1.5 * 10**9) + memory.OVERHEAD
    assert memory.choose_chunk(ladder.RUNGS[0], needs, frames, available) == chunk


def test_files_that_are_not_loaded_are_not_counted(checkpoint, plain_checkpoint, tmp_path):
    tiny_checkpoint.make(tmp_path)
    tiny_checkpoint.make(tmp_path, half = False)
    assert checkpoints.count_file_bytes(tmp_path,
                                        'fp16') == checkpoints.count_file_bytes(checkpoint, 'fp16')
    assert checkpoints.count_file_bytes(tmp_path, None) == checkpoints.count_file_bytes(
        plain_checkpoint, None)


@pytest.mark.parametrize('language', i18n.LANGUAGES)
def test_every_reason_has_words_in(language):
    needed = [
        'no_libraries', 'torch_broken', 'no_weights', 'no_memory', 'slow_processor', 'no_device',
        'cannot_load', 'memory_stepped_down', 'svd_few_steps', 'warn_frames', 'warn_fps',
        'device_cannot_compute', 'device_gives_no_numbers', 'device_too_small',
        'device_too_small_in_full', 'device_failed', 'redirected'
    ]
    assert set(needed) <= set(i18n.words(language)['engines'])


class Torch:
    """What :mod:`devices` asks of torch, on a machine with a number of GPUs."""

    def __init__(self, gpus = 0, has_mps = False):
        self.cuda = type('Cuda', (), {
            'is_available': lambda: gpus > 0,
            'device_count': lambda: gpus
        })
        mps = type('Mps', (), {'is_available': lambda: has_mps})
        self.backends = type('Backends', (), {'mps': mps})


@pytest.mark.parametrize(('option', 'machine', 'device'), [('auto', Torch(2), 'cuda:0'),
                                                           ('auto', Torch(1, True), 'cuda:0'),
                                                           ('auto', Torch(0, True), 'mps'),
                                                           ('auto', Torch(), 'cpu'),
                                                           ('cuda', Torch(2), 'cuda:0'),
                                                           ('cuda:1', Torch(2), 'cuda:1'),
                                                           ('cuda:2', Torch(2), None),
                                                           ('cpu', Torch(2), 'cpu'),
                                                           ('mps', Torch(2), None),
                                                           ('cuda', Torch(), None)])
def test_picks_the_device_that_is_asked_for_or_the_fastest(option, machine, device):
    assert devices.find_device(option, machine) == device
