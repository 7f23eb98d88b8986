#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
The Wan engine, on the real classes with tiny checkpoints of both kinds.

Libraries: pytest, torch, diffusers, numpy, Pillow.
"""

import dataclasses
import gc
import json
import shutil
import weakref
from functools import partial
from types import SimpleNamespace

import numpy
import pytest
from PIL import Image

from modules import errors
from modules.clips.animator import Animator
from modules.clips.provenance import read_settings
from modules.commands import again
from modules.configuration import Configuration, ModelOptions
from modules.engines.diffusion import devices, fitting, ladder, libraries
from modules.engines.diffusion.budget import GIB, OVERHEAD
from modules.engines.registry import Engines
from modules.engines.wan import kinds, memory
from modules.engines.wan.budget import WanBudget
from modules.engines.wan.clip import PRESETS, Asked, PlannedClip, choose_size, divide, plan_clip
from modules.engines.wan.options import WanOptions
from modules.engines.wan.texts import MOST, NEGATIVE_PROMPT, PROMPT, TOKENS, TextCache
from modules.i18n import text
from modules.photos.reader import PhotoReader
from modules.progress import JobControl, Progress
from modules.request import parse_request

torch = pytest.importorskip('torch')
pytest.importorskip('diffusers')

import diffusers  # noqa: E402
import pretended_gpu  # noqa: E402
import published_wan  # noqa: E402
import tiny_wan  # noqa: E402
import transformers  # noqa: E402
from live_tensors import FusedAttention, LiveBytes  # noqa: E402
from published_wan import PUBLISHED  # noqa: E402
from tiny_svd import animate, photo, pictures, reason, request  # noqa: E402

from modules.engines.wan import pipeline  # noqa: E402
from modules.engines.wan.placed import PlacedPipeline  # noqa: E402
from modules.engines.wan.sampler import Sampler, Wanted  # noqa: E402


@dataclasses.dataclass
class Tiny:
    """A kind of Wan, in small."""

    folder: object
    home: object
    engine: object
    #: the pipeline as anybody would load it
    plain: object

    def reference(self, picture, wanted, prompt = PROMPT, negative = NEGATIVE_PROMPT, **more):
        """What a plain call makes of a photo."""
        clip, fit = self.engine.plan(picture.full_size, wanted)
        image = fitting.fit_to_model(picture.image, fit)
        frames = tiny_wan.reference(
            self.plain, image, prompt, negative, guidance_scale = clip.guidance, **more)
        return fitting.fit_to_result(frames, fit)


@pytest.fixture(scope = 'module', params = ['small', 'large'])
def tiny(request, tmp_path_factory):
    folder, home = tmp_path_factory.mktemp(request.param), tmp_path_factory.mktemp('home')
    getattr(tiny_wan, f'make_{request.param}')(folder)
    return Tiny(folder, home, tiny_wan.loaded(folder, home), tiny_wan.load_plainly(folder))


@pytest.fixture(scope = 'module')
def large(tmp_path_factory):
    return tiny_wan.make_large(tmp_path_factory.mktemp('large'))


@pytest.mark.parametrize('size', [(300, 200), (200, 300)])
def test_frames_equal_a_plain_call(tiny, size):
    picture = photo(*size)
    wanted = request(prompt = 'wind blows', negative_prompt = '风')
    seen = []
    frames = animate(tiny.engine, picture, wanted, seen.append)
    assert numpy.array_equal(frames, tiny.reference(picture, wanted, 'wind blows', '风'))
    assert frames.std() > 1 and (frames[0] != frames[-1]).any()
    steps = [progress for progress in seen if progress.phase == 'step']
    assert [(progress.step, progress.steps) for progress in steps] == [(1, 3), (2, 3), (3, 3)]
    assert all(picture.std() > 1 for picture in pictures(seen, 'step'))
    decoded = [(each.step, each.steps) for each in seen if each.phase == 'decoding']
    assert decoded == sorted(decoded) and decoded[-1] == (2, 2)


def test_who_says_nothing_gets_natural_motion(tiny):
    frames = animate(tiny.engine, photo(), request())
    assert numpy.array_equal(frames, tiny.reference(photo(), request()))
    assert not numpy.array_equal(frames, animate(tiny.engine, photo(), request(seed = 8)))


def test_the_result_has_the_photos_own_ratio(tiny):
    frames = animate(tiny.engine, photo(210, 100), request())
    assert abs(frames.shape[2] / frames.shape[1] - 2.1) < 0.05 and frames.shape[0] == 5


def test_half_precision_frames_equal_a_plain_call(tiny):
    source = pipeline.Source(tiny.folder, 'cpu', True)
    texts = TextCache(tiny.home, 'half', partial(pipeline.embed_texts, source))
    placed = PlacedPipeline(pipeline.load_pipeline(source), 'cpu', ladder.RUNGS[0])
    sampler = Sampler(placed, texts, lambda rung, clip: False, None)
    clip, fit = tiny.engine.plan((96, 64), request())
    wanted = Wanted(photo(96, 64).image, clip, ('wind', '风'), 7)
    plain = tiny_wan.load_plainly(tiny.folder, torch.bfloat16)
    expected = tiny_wan.reference(
        plain, wanted.image, *wanted.texts, guidance_scale = clip.guidance)
    with torch.no_grad():
        assert numpy.array_equal(sampler.make(wanted, fitted(fit)), expected)


def fitted(fit):
    from modules.engines.diffusion.decoding import ClipControl
    return ClipControl(finish = lambda frames: fitting.fit_to_result(frames, fit))


def test_a_text_that_was_seen_needs_nothing_that_reads_it(tiny, tmp_path):
    folder = shutil.copytree(tiny.folder, tmp_path / 'copy')
    engine = tiny_wan.loaded(folder, tmp_path / 'home')
    expected = animate(engine, photo(), request(prompt = 'waves'))
    (folder / 'text_encoder' / 'model.safetensors').rename(tmp_path / 'aside')
    assert numpy.array_equal(animate(engine, photo(), request(prompt = 'waves')), expected)
    with pytest.raises(OSError, match = 'text_encoder'):
        animate(engine, photo(), request(prompt = 'other waves'))


def test_a_text_whose_file_is_damaged_is_read_anew(tiny, tmp_path):
    engine = tiny_wan.loaded(tiny.folder, tmp_path)
    expected = animate(engine, photo(), request(prompt = 'waves'))
    kept = {file: file.read_bytes() for file in (tmp_path / 'texts').iterdir()}
    for file, content in kept.items():
        file.write_bytes(content[:-1])
    assert numpy.array_equal(animate(engine, photo(), request(prompt = 'waves')), expected)
    # of the three, that which says what should happen where nobody does was not needed
    assert sum(file.read_bytes() == content for file, content in kept.items()) == 2


@pytest.mark.parametrize('at', [Progress('step', 2, 3), Progress('decoding', 1, 2)])
def test_it_ends_between_steps_and_parts_and_the_next_clip_is_right(tiny, at):
    expected, seen = tiny.reference(photo(), request()), []

    def stop():
        if seen and (seen[-1].phase, seen[-1].step) == (at.phase, at.step):
            raise errors.Cancelled

    with pytest.raises(errors.Cancelled):
        animate(tiny.engine, photo(), request(), seen.append, stop)
    assert numpy.array_equal(animate(tiny.engine, photo(), request()), expected)


@pytest.mark.parametrize('name', ['offload', 'streamed'])
def test_weights_that_move_give_the_same_frames(tiny, name):
    engine = tiny_wan.loaded(tiny.folder, tiny.home)
    engine.holder.model.take(ladder.named('cuda', name, memory.RUNGS))
    for _clip in range(2):
        frames = animate(engine, photo(), request())
        assert numpy.array_equal(frames, tiny.reference(photo(), request()))


def test_tiles_are_those_of_a_plain_call(tiny):
    engine = tiny_wan.loaded(tiny.folder, tiny.home, {'width': 288, 'height': 32, 'tiles': True})
    picture, seen = photo(900, 100), []
    clip, fit = engine.plan(picture.full_size, request())
    frames = animate(engine, picture, request(), seen.append)
    try:
        tiny.plain.vae.enable_tiling()
        expected = dataclasses.replace(tiny, engine = engine).reference(picture, request())
    finally:
        tiny.plain.vae.disable_tiling()
    assert clip.width > 256 and numpy.array_equal(frames, expected)
    assert engine.settings(request())['Tiles'] is True
    assert [each.step for each in seen if each.phase == 'decoding'] == [0, 0, 1, 2, 3, 4]


def test_out_of_memory_goes_one_rung_down_with_the_same_seed(tiny):
    engine, seen = tiny_wan.loaded(tiny.folder, tiny.home), []
    faults = [torch.OutOfMemoryError('CUDA out of memory')]
    engine.holder.model.placed.pipe.transformer.register_forward_pre_hook(
        lambda *given: fail(faults))
    frames = animate(engine, photo(), request(), seen.append)
    assert numpy.array_equal(frames, tiny.reference(photo(), request()))
    assert [progress.note.key for progress in seen
            if progress.note] == ['engines.memory_stepped_down']
    assert engine.settings(request())['Memory'] == 'single'


def test_a_second_clip_is_made_with_less_where_the_gpu_has_filled_up(tiny, tmp_path, monkeypatch):
    """Tiles where a whole picture does not fit, and weights that move where even a new text or a step does not."""
    room, faults, embed, seen = [2**40], [], pipeline.embed_texts, []
    monkeypatch.setattr(devices, 'read_usable_memory', lambda _device, _placed: room[-1])
    monkeypatch.setattr(pipeline, 'embed_texts', lambda *given: fail(faults) or embed(*given))
    engine = tiny_wan.loaded(tiny.folder, tmp_path, {'width': 288, 'height': 32})
    picture, reference = photo(900, 100), dataclasses.replace(tiny, engine = engine).reference
    frames = animate(engine, picture, request())
    assert numpy.array_equal(frames, reference(picture, request()))
    assert engine.settings(request())['Tiles'] is False
    room.append(OVERHEAD)
    try:
        tiny.plain.vae.enable_tiling()
        assert numpy.array_equal(animate(engine, picture, request()), reference(picture, request()))
        assert engine.settings(request())['Tiles'] is True
        faults.append(torch.OutOfMemoryError('CUDA out of memory'))
        frames = animate(engine, picture, request(prompt = 'new'), seen.append)
        assert numpy.array_equal(frames, reference(picture, request(), 'new'))
    finally:
        tiny.plain.vae.disable_tiling()
    assert faults == [] and [each.note.key
                             for each in seen if each.note] == ['engines.memory_stepped_down']


def count_encoders():
    return sum(isinstance(each, transformers.UMT5EncoderModel) for each in gc.get_objects())


def count_calls(source, texts):
    """How often somebody is asked whether texts are still wanted."""
    calls = []
    pipeline.embed_texts(source, texts, lambda: calls.append(None))
    return len(calls)


@pytest.fixture(scope = 'module')
def calls_of_two(large):
    """For two texts, two blocks each: before anything, before each tensor that is read, before each block."""
    calls = count_calls(pipeline.Source(large, 'cpu', False), ['a', 'b'])
    has_hook = hasattr(transformers.utils.logging, 'set_tqdm_hook')
    assert calls > 20 if has_hook else calls == 5
    return calls


@pytest.mark.parametrize('part', [0, 0.1, 0.5, 0.8, 0.9, 1])
def test_reading_texts_ends_before_each_tensor_and_block_and_holds_nothing(
        large, calls_of_two, part):
    source, left = pipeline.Source(large, 'cpu', False), [None] * round(part * (calls_of_two - 1))
    gc.collect()
    before = count_encoders()

    def stop():
        if not left:
            raise errors.Cancelled
        left.pop()

    with pytest.raises(errors.Cancelled) as kept:
        pipeline.embed_texts(source, ['a', 'b'], stop)
    # while the error is still there
    assert kept.value and count_encoders() == before
    assert bars_are_free()


def bars_are_free():
    return getattr(transformers.utils.logging, '_tqdm_hook', None) is None


def test_a_clip_is_cancelled_while_its_texts_are_read(large, tmp_path, calls_of_two):
    engine, seen = tiny_wan.loaded(large, tmp_path), []

    def stop():
        seen.append(None)
        # two blocks less
        if len(seen) == calls_of_two - 2:
            raise errors.Cancelled

    with pytest.raises(errors.Cancelled):
        animate(engine, photo(), request(prompt = 'ab'), stop = stop)
    assert len(seen) == calls_of_two - 2
    assert len(list((tmp_path / 'texts').iterdir())) == 2


def test_words_are_looked_up_in_main_memory():
    config = transformers.UMT5Config(
        vocab_size = 4096, d_model = 64, d_kv = 16, d_ff = 128, num_layers = 3, num_heads = 4)
    ids, gpu = torch.randint(1, 4000, (1, 24)), pretended_gpu.GPU
    live = LiveBytes(None, 'cuda')
    with pretended_gpu.pretended(), live:
        encoder = transformers.UMT5EncoderModel(config).eval()
        streamer = pipeline.stream_encoder(encoder, str(gpu))
        given = torch.empty_like(ids, device = gpu), torch.empty(1, 1, 24, 24, device = gpu)
        made = encoder(*given).last_hidden_state
        assert made.device == gpu and made.shape == (1, 24, 64)
        streamer.release()
    assert live.peak < encoder.shared.weight.nbytes / 2


def test_an_encoder_that_is_streamed_gives_the_same_embeddings(large):
    whole = pipeline.Source(large, 'cpu', False)
    expected, = pipeline.embed_texts(whole, ['wind'], lambda: None)
    encoder = transformers.UMT5EncoderModel.from_pretrained(large / 'text_encoder').eval()
    pipe = tiny_wan.load_plainly(large)
    pipe.text_encoder = encoder
    given = {'do_classifier_free_guidance': False, 'max_sequence_length': TOKENS}
    streamer = pipeline.stream_encoder(encoder, 'cpu')
    for _time in range(2):
        with torch.no_grad():
            made = pipe.encode_prompt('wind', **given)[0]
        assert torch.equal(made, expected)
    streamer.release()


def fail(faults):
    if faults:
        raise faults.pop()


def test_a_loop_is_closed_by_the_kind_that_can(tiny):
    """As a plain call that is given the photo as last picture; that one is the first of the next time round."""
    picture, wanted = photo(), request(loop = 'model')
    image = fitting.fit_to_model(picture.image, tiny.engine.plan(picture.full_size, wanted)[1])
    frames = animate(tiny.engine, picture, wanted)
    if tiny.engine.can_close:
        assert numpy.array_equal(frames, tiny.reference(picture, wanted, last_image = image)[:-1])
        assert not numpy.array_equal(frames, tiny.reference(picture, wanted)[:-1])
    else:
        assert numpy.array_equal(frames, tiny.reference(picture, wanted))


def is_joined(frames, first, then):
    """Whether a clip is one part, and then another with the brightness and colours of the frame it begins with."""
    wanted, found = (each.reshape(-1, 3).astype(float) for each in (first[-1], then[0]))
    gain = (wanted.std(0) / found.std(0)).clip(0.8, 1.25)
    joined = ((then - found.mean(0)) * gain + wanted.mean(0)).clip(0, 255)[1:]
    assert numpy.abs(then[1:] - joined).max() > 2
    return numpy.array_equal(frames[:len(first)],
                             first) and numpy.abs(frames[len(first):] - joined).max() <= 0.51


def test_of_a_long_clip_the_last_part_closes_the_loop(large, tmp_path):
    engine, plain = tiny_wan.loaded(large, tmp_path), tiny_wan.load_plainly(large)
    clip, fit = engine.plan((96, 64), request())
    image, of_plain = photo(96, 64).image, {'guidance_scale': clip.guidance}
    wanted = Wanted(image, dataclasses.replace(clip, parts = (5, 5)), ('wind', '风'), 7, image)
    with torch.no_grad():
        frames = engine.holder.model.make(wanted, fitted(fit))
    first = tiny_wan.reference(plain, image, 'wind', '风', **of_plain)
    then = tiny_wan.reference(
        plain, Image.fromarray(first[-1]), 'wind', '风', 8, last_image = image, **of_plain)
    assert is_joined(frames, first, then[:-1])


@pytest.fixture(scope = 'module')
def few_steps(large, tmp_path_factory):
    """An engine with files for few steps, and a plain pipeline with the same."""
    pytest.importorskip('peft')
    home = tmp_path_factory.mktemp('lora')
    files = tiny_wan.make_lora(home)
    own = {'lora': tuple(map(str, files)), 'steps': None}
    plain = tiny_wan.load_plainly(large)
    for file, is_second in zip(files, (False, True), strict = True):
        plain.load_lora_weights(
            str(home), weight_name = file.name, load_into_transformer_2 = is_second)
    return partial(tiny_wan.loaded, large, home, own), plain, files


@pytest.mark.parametrize('name', ['resident', 'offload', 'streamed'])
def test_few_steps_are_those_of_a_plain_call_with_the_same_files(few_steps, name):
    load, plain, _files = few_steps
    engine = load()
    engine.holder.model.take(ladder.named('cuda', name, memory.RUNGS))
    seen = []
    frames = animate(engine, photo(), request(), seen.append)
    clip, fit = engine.plan(photo().full_size, request())
    assert (clip.steps, clip.guidance) == (4, 1.0)
    assert [each.steps for each in seen if each.phase == 'step'] == [4] * 4
    plain.fuse_lora(['transformer', 'transformer_2'])
    try:
        image = fitting.fit_to_model(photo().image, fit)
        expected = tiny_wan.reference(
            plain, image, PROMPT, NEGATIVE_PROMPT, num_inference_steps = 4, guidance_scale = 1.0)
    finally:
        plain.unfuse_lora(['transformer', 'transformer_2'])
    assert numpy.array_equal(frames, fitting.fit_to_result(expected, fit))
    assert engine.settings(
        request())['Lora'] == 'high_noise_model.safetensors, low_noise_model.safetensors'


def test_with_few_steps_most_presets_change_nothing(few_steps):
    load, _plain, _files = few_steps
    engine = load()
    assert engine.presets == ('quality', 'draft')
    assert tiny_wan.made(engine._folder, engine._folder, {'steps': 50}).presets == tuple(PRESETS)


def test_each_file_changes_its_own_model(few_steps, large, tmp_path):
    load, _plain, files = few_steps
    made = [
        animate(engine, photo(), request())
        for engine in (load(),
                       tiny_wan.loaded(large, tmp_path, {
                           'lora': tuple(map(str, files[::-1])),
                           'steps': None
                       }), tiny_wan.loaded(large, tmp_path, {
                           'steps': 4,
                           'guidance': 1.0
                       }))
    ]
    assert not numpy.array_equal(made[0], made[1]) and not numpy.array_equal(made[0], made[2])


def test_files_for_few_steps_want_two_models_and_have_to_be_there(tiny, tmp_path):
    names = str(tmp_path / 'high.safetensors'), str(tmp_path / 'low.safetensors')
    status = tiny_wan.made(tiny.folder, tiny.home, {'lora': names}).status()
    if tiny.engine.can_close:
        assert (status.reason.key, status.fetchable) == ('engines.wan_lora_missing', 'wan')
    else:
        assert status.reason.key == 'engines.wan_no_lora_for'
    assert str(tmp_path) not in status.reason.in_('en')


def test_what_gives_no_numbers_is_no_clip(large, tmp_path):
    engine = tiny_wan.loaded(large, tmp_path)
    torch.nn.init.constant_(engine.holder.model.placed.pipe.transformer.proj_out.bias, float('nan'))
    with pytest.raises(errors.UnusablePicture):
        animate(engine, photo(), request())
    assert not engine.holder.model.gives_numbers()


def test_a_file_tells_how_it_was_made_and_is_made_again(large, tmp_path):
    options = tiny_wan.configured(large, tmp_path, {'steps': 2})
    engines = Engines(options, {'wan': ('modules.engines.wan.engine', 'Wan')})
    animator = Animator(options, PhotoReader(10**8), engines)
    path = tmp_path / 'photo.png'
    photo(120, 80).image.save(path)

    def make(fields, name):
        wanted = animator.with_defaults(parse_request(fields, path, 'photo'))
        outcome = animator.animate(wanted, tmp_path / name, JobControl())
        assert outcome.note is None and outcome.model == large.name
        return (tmp_path / name).read_bytes()

    made = make([('prompt', 'wind'), ('format', 'webp'), ('seed', '5')], 'one.webp')
    found = read_settings(tmp_path / 'one.webp')
    assert found['options']['WanOptions'] == {
        'ModelName': large.name,
        'Width': 96,
        'Height': 64,
        'Frames': 5,
        'Steps': 2,
        'Guidance': 3.5,
        'Lora': '',
        'Tiles': False,
        'Prompt': 'wind',
        'NegativePrompt': NEGATIVE_PROMPT
    }
    assert 'ModelName' not in found['options']['ModelOptions']
    recorded = again.read_result(tmp_path / 'one.webp')
    assert recorded.overrides['WanOptions', 'Steps'] == '2'
    fields = [field for field in recorded.fields if field[0] != 'engine']
    assert make(fields, 'two.webp') == made


def test_what_cannot_be_used_is_said(large, tmp_path):
    nothing = tmp_path / 'nothing'
    assert reason(tiny_wan.made(nothing, tmp_path,
                                engine = 'wan')).startswith('There is no complete')
    assert reason(tiny_wan.made(nothing, tmp_path)).startswith('There is no usable GPU')
    folder = shutil.copytree(large, tmp_path / 'other')
    (folder / 'transformer_2' / 'diffusion_pytorch_model.safetensors').unlink()
    engine = tiny_wan.made(folder, tmp_path, engine = 'wan')
    assert engine.status().fetchable == 'wan' and engine.status().reason.key == 'engines.no_weights'
    folder = shutil.copytree(large, tmp_path / 'reads')
    config = folder / 'transformer' / 'config.json'
    config.write_text(json.dumps({**json.loads(config.read_text()), 'image_dim': 32}))
    assert 'cannot be used' not in reason(tiny_wan.made(folder, tmp_path))
    assert tiny_wan.made(folder, tmp_path).status().reason.key == 'engines.wan_other_kind'


def numbers(value):
    return torch.full((1, 4, 3), float(value))


@pytest.mark.parametrize('plain', [(), ('vae', ), ('text_encoder', 'transformer')])
def test_parts_that_have_half_precision_files_alone_are_read(tiny, tmp_path, plain):
    folder = shutil.copytree(tiny.folder, tmp_path / 'half')
    for part in {'vae', 'text_encoder', 'transformer', 'transformer_2'} - set(plain):
        for file in (folder / part).glob('*.safetensors'):
            file.rename(file.with_name(file.name.replace('.safetensors', '.fp16.safetensors')))
    engine = tiny_wan.loaded(folder, tmp_path)
    assert numpy.array_equal(
        animate(engine, photo(), request()), tiny.reference(photo(), request()))
    assert engine.budget.read_needs(folder) == tiny.engine.budget.read_needs(tiny.folder)


def test_what_reads_texts_has_to_fit_main_memory_until_they_are_read(tiny, tmp_path, monkeypatch):
    engine = tiny_wan.made(tiny.folder, tmp_path)
    needs = engine.budget.read_needs(tiny.folder)
    encoder = memory.count_weights(tiny.folder, 'text_encoder', 4)
    # in small, the rest is larger
    monkeypatch.setattr(
        engine.budget, 'read_needs',
        lambda *given: dataclasses.replace(needs, transformers = encoder // 4, vae = 0))
    monkeypatch.setattr(devices, 'read_main_memory', lambda: encoder - 1)
    assert engine.status().reason.key == 'engines.no_main_memory'
    monkeypatch.setattr(devices, 'read_main_memory', lambda: encoder)
    assert engine.status().reason is None
    monkeypatch.setattr(devices, 'read_main_memory', lambda: 2**40)
    tiny_wan.loaded(tiny.folder, tmp_path)
    monkeypatch.setattr(devices, 'read_main_memory', lambda: encoder - 1)
    assert engine.status().reason is None
    monkeypatch.setattr(devices, 'read_main_memory', lambda: encoder // 4 - 1)
    assert engine.status().reason.key == 'engines.no_main_memory'


def test_a_new_text_that_does_not_fit_beside_the_weights_is_refused_and_known_ones_work(
        large, tmp_path, monkeypatch):
    engine = tiny_wan.loaded(large, tmp_path)
    expected = animate(engine, photo(), request(prompt = 'waves'))
    encoder = memory.count_weights(large, 'text_encoder', 4)
    free = [encoder]
    monkeypatch.setattr(devices, 'read_free_memory', lambda *_given: free[-1])
    # else there would be tiles
    monkeypatch.setattr(devices, 'read_usable_memory', lambda *_given: 2**40)
    with pytest.raises(errors.NoMemoryForText) as refused:
        animate(engine, photo(), request(prompt = 'other waves'))
    assert refused.value.status == 503 and 'used before' in str(refused.value)
    assert numpy.array_equal(animate(engine, photo(), request(prompt = 'waves')), expected)
    free.append(encoder + 2**30)
    assert len(animate(engine, photo(), request(prompt = 'other waves'))) == len(expected)


def test_what_is_loaded_works_when_its_folder_is_taken_away(large, tmp_path):
    folder = shutil.copytree(large, tmp_path / 'copy')
    engine = tiny_wan.loaded(folder, tmp_path / 'home')
    expected = animate(engine, photo(), request())
    assert engine.status().predict_memory()
    folder.rename(tmp_path / 'aside')
    status = engine.status()
    assert status.reason is None and status.predict_memory() is None
    assert numpy.array_equal(animate(engine, photo(), request()), expected)


@pytest.mark.parametrize(('own', 'sides'), [({}, (96, 64)),
                                            ({
                                                'width': 640,
                                                'height': 480
                                            }, (640, 480))])
def test_as_much_of_the_photo_is_decoded_as_the_model_can_use(tiny, tmp_path, own, sides):
    read = []

    class Reading(PhotoReader):

        def read(self, photo, pixels = None):
            read.append(pixels)
            raise errors.Cancelled

    options = tiny_wan.configured(
        tiny.folder, tiny.home, own, image_prompt_width = 64, image_prompt_height = 64)
    engines = Engines(options, {'wan': ('modules.engines.wan.engine', 'Wan')})
    path = tmp_path / 'photo.png'
    photo(1200, 900).image.save(path)
    request_of_file = parse_request([('engine', 'wan')], path, 'photo')

    animator = Animator(options, Reading(10**8), engines)
    with pytest.raises(errors.Cancelled):
        animator.animate(request_of_file, tmp_path / 'one.webp', JobControl())
    assert read == [2 * sides[0] * sides[1]]


def test_texts_are_kept_by_text_and_by_model(tmp_path):
    read = []

    def embed(texts, _stop):
        read.append(texts)
        return [numbers(len(text)) for text in texts]

    cache = TextCache(tmp_path / 'home', 'one', embed)
    assert [each[0, 0, 0] for each in cache.embed('abc', '风')] == [3, 1]
    assert [each[0, 0, 0]
            for each in TextCache(tmp_path / 'home', 'one', embed).embed('风', 'ab')] == [1, 2]
    TextCache(tmp_path / 'home', 'another', embed).embed('abc')
    assert read == [['abc', '风'], ['ab'], ['abc']]


@pytest.mark.parametrize('damage', [
    lambda content: b'', lambda content: content[:-1], lambda content: content[:-1] + b'\1',
    lambda content: b'\1' + content[1:]
])
def test_a_damaged_file_is_made_anew(tmp_path, damage):
    read = []

    def embed(texts, _stop):
        read.append(texts)
        return [numbers(5) for text in texts]

    cache = TextCache(tmp_path, 'one', embed)
    cache.embed('a')
    file, = tmp_path.iterdir()
    file.write_bytes(damage(file.read_bytes()))
    assert torch.equal(cache.embed('a')[0], numbers(5)) and len(read) == 2
    assert torch.equal(cache.embed('a')[0], numbers(5)) and len(read) == 2


def test_the_texts_that_were_used_last_are_kept_and_a_full_disk_stops_nobody(tmp_path):
    cache = TextCache(tmp_path / 'home', 'one', lambda texts, _stop: [numbers(0)] * len(texts))
    for number in range(MOST + 9):
        cache.embed(str(number))
    assert len(list((tmp_path / 'home').iterdir())) == MOST
    (tmp_path / 'file').touch()
    nowhere = TextCache(tmp_path / 'file', 'one', lambda texts, _stop: [numbers(1)])
    assert torch.equal(nowhere.embed('a')[0], numbers(1))


def test_where_nothing_can_be_written_texts_are_not_read_for_every_clip(tmp_path):
    (tmp_path / 'file').touch()
    read = []

    def embed(texts, _stop):
        read.extend(texts)
        return [numbers(len(text)) for text in texts]

    cache = TextCache(tmp_path / 'file', 'one', embed)
    for number in range(20):
        made = cache.embed('x' * (number + 30), 'always')
        assert [each[0, 0, 0] for each in made] == [number + 30, 6]
    assert read.count('always') == 1 and len(read) == 21
    cache.embed('x' * 30)
    assert len(read) == 22


def test_what_is_no_number_is_not_kept(tmp_path):
    made = [numbers(2), numbers('nan')]
    cache = TextCache(tmp_path, 'one', lambda texts, _stop: [made.pop()])
    assert cache.embed('a')[0].isnan().all() and not list(tmp_path.iterdir())
    assert torch.equal(cache.embed('a')[0], numbers(2))


def test_others_may_read_what_is_kept_as_the_mask_says(tmp_path):
    cache = TextCache(tmp_path, 'one', lambda texts, _stop: [numbers(1)])
    (tmp_path / 'plain').touch()
    cache.embed('a')
    assert len({file.stat().st_mode for file in tmp_path.iterdir()}) == 1


def test_nothing_is_left_of_what_could_not_be_kept(tmp_path):
    cache = TextCache(tmp_path, 'one', lambda texts, _stop: [numbers(1)])
    cache._path('a').mkdir()
    cache.embed('a')
    assert [file.is_dir() for file in tmp_path.iterdir()] == [True]


@pytest.mark.parametrize(('version', 'argument'), [('4.55.4', 'torch_dtype'), ('4.56.0', 'dtype'),
                                                   ('5.0.0', 'dtype')])
def test_the_precision_has_the_name_that_the_library_knows(monkeypatch, version, argument):
    monkeypatch.setattr(transformers, '__version__', version)
    assert libraries.dtype_argument('transformers') == argument


@pytest.mark.parametrize('fault', [TypeError, AttributeError, ImportError, KeyError, NameError])
def test_whatever_a_library_raises_while_it_loads_is_a_reason(large, tmp_path, fault):
    engine = tiny_wan.made(large, tmp_path)

    def load(folder, is_full):
        raise fault('unexpected')

    engine._load_sampler = load
    with pytest.raises(errors.EngineUnavailable):
        engine.load()
    assert engine.status().reason.key == 'engines.cannot_load'


@pytest.mark.parametrize(('name', 'is_placed'), [('resident', True), ('offload', False),
                                                 ('streamed', False)])
def test_weights_that_are_placed_count_as_memory_that_is_there(published, monkeypatch, name,
                                                               is_placed):
    folder, kind, *_others = published
    budget = WanBudget(Configuration())
    budget.use_device('cuda:0', 80 * GIB)
    needs = budget.read_needs(folder)
    rung = ladder.named('cuda:0', name, memory.RUNGS)
    whole = memory.predict_peak(rung, needs, False)
    placed = needs.weights if is_placed else 0
    monkeypatch.setattr(budget, 'expect_memory', lambda weights: whole - placed + OVERHEAD)
    assert budget.predict_use(folder, SimpleNamespace(rung = rung)).peak == whole


@pytest.mark.parametrize(('size', 'chosen'), [((16, 9), (1248, 704)), ((9, 16), (704, 1248)),
                                              ((4, 3), (1088, 800)), ((1, 1), (928, 928)),
                                              ((3, 2), (1152, 768)), ((100, 1), (9376, 96))])
def test_sides_are_multiples_in_the_photos_ratio(size, chosen):
    assert choose_size(size, 1280 * 704, 32) == chosen


@pytest.mark.parametrize('size', [(4000, 3000), (3000, 4000), (21, 9), (1, 1), (997, 1009)])
@pytest.mark.parametrize('multiple', [16, 32])
def test_sides_keep_to_the_pixels_and_stretch_little(size, multiple):
    width, height = choose_size(size, 832 * 480, multiple)
    assert width % multiple == height % multiple == 0
    assert 0.9 * 832 * 480 <= width * height <= 832 * 480
    assert abs(width / height / (size[0] / size[1]) - 1) < 0.05


@pytest.mark.parametrize('size', [(40000, 20), (20, 40000)])
def test_no_side_has_more_parts_than_the_model_knows_places(size):
    for pixels, multiple in ((1280 * 704, 32), (832 * 480, 16), (4096 * 4096, 16)):
        width, height = choose_size(size, pixels, multiple)
        assert max(width, height) <= 1024 * multiple and min(width, height) >= multiple


@pytest.mark.parametrize(('wanted', 'made'), [(None, 81), (5, 5), (6, 5), (8, 5), (9, 9),
                                              (120, 117)])
def test_frames_are_one_more_than_a_multiple_of_four(wanted, made):
    own = WanOptions(frames = wanted)
    assert plan_clip(own, kinds.SMALL, Asked((16, 9))).parts == (made, )


@pytest.mark.parametrize(('preset', 'steps', 'frames'), [('quality', 50, 81), ('balanced', 30, 81),
                                                         ('fast', 20, 81), ('draft', 20, 49)])
def test_presets_make_fewer_steps(preset, steps, frames):
    clip = plan_clip(WanOptions(), kinds.SMALL, Asked((16, 9), PRESETS[preset]))
    assert (clip.steps, clip.frames) == (steps, frames)
    assert (clip.width * clip.height < 1280 * 704 * 0.9) is (preset == 'draft')


@pytest.fixture(scope = 'module', params = PUBLISHED)
def published(request, tmp_path_factory):
    """A published model's descriptions, its files as holes of the right length, and its kind."""
    folder = published_wan.describe(tmp_path_factory.mktemp('published'), request.param)
    _weights, transformer, vae = PUBLISHED[request.param]
    return folder, kinds.read_kind(folder), transformer, vae


def needs_of(published, width, height, frames, precision = 2):
    folder, kind, *_others = published
    clip = PlannedClip(width, height, frames, 50, 5.0, (frames, ))
    return memory.read_needs(folder, kind, clip, precision)


def counted(work):
    with torch.device('meta'), torch.no_grad(), FusedAttention(), LiveBytes() as live:
        work()
    return live.peak


@pytest.mark.parametrize(('width', 'height', 'frames'), [(1280, 704, 81), (832, 480, 49)])
@pytest.mark.parametrize('dtype', [torch.bfloat16, torch.float32])
def test_what_the_transformer_is_said_to_hold_is_what_it_holds(published, width, height, frames,
                                                               dtype):
    _folder, kind, config, _vae = published
    with torch.device('meta'):
        whole = diffusers.WanTransformer3DModel(**{**config, 'num_layers': 2}).eval()
    for name, parameter in whole.named_parameters():
        is_kept = set(whole._keep_in_fp32_modules) & set(name.split('.'))
        parameter.data = parameter.data.to(torch.float32 if is_kept else dtype)
    parts, side = frames // 4 + 1, kind.multiple // 2
    tokens = parts * (width // kind.multiple) * (height // kind.multiple)

    def step():
        shape = (1, whole.config.in_channels, parts, height // side, width // side)
        times = torch.empty((1, tokens) if kind.has_own_time else (1, ))
        text = torch.empty(1, 512, 4096, dtype = dtype)
        whole(torch.empty(shape, dtype = dtype), times, text, return_dict = False)

    needs = needs_of(published, width, height, frames, dtype.itemsize)
    # never less than is needed, and never so much that a rung is wasted
    assert counted(step) <= needs.denoising * 1.01 <= counted(step) * 1.05


def test_what_the_vae_is_said_to_hold_is_what_it_holds(published):
    _folder, kind, _config, description = published
    with torch.device('meta'):
        vae = diffusers.AutoencoderKLWan(**description).eval()
    width, height, frames = 640, 384, 13
    needs, side = needs_of(published, width, height, frames), kind.multiple // 2
    shape = (1, vae.config.z_dim, frames // 4 + 1, height // side, width // side)
    held = counted(lambda: vae.decode(torch.empty(shape)))
    assert held <= needs.decoding <= 1.05 * held
    vae.clear_cache()
    given = 1 if kind.has_own_time else frames
    held = counted(lambda: vae.encode(torch.empty(1, 3, given, height, width)))
    assert held <= needs.encoding <= 1.05 * held
    vae.clear_cache()
    vae.enable_tiling()
    shape = (1, vae.config.z_dim, 3, 288 // side, 256 // side)
    held = counted(lambda: vae.decode(torch.empty(shape)))
    assert held <= needs_of(published, 256, 288, 9).tiled <= 1.1 * held


@pytest.mark.parametrize(('gibibytes', 'small', 'large'), [(80, 'resident', 'resident'),
                                                           (24, 'resident', 'streamed'),
                                                           (16, 'offload', 'streamed'),
                                                           (12, 'streamed', 'streamed'),
                                                           (8, 'streamed', 'streamed'),
                                                           (6, 'streamed', 'streamed')])
def test_the_published_models_take_the_fastest_rung_of_a_gpu(published, gibibytes, small, large):
    _folder, kind, *_others = published
    is_small = kind.has_own_time
    size = (1248, 704) if is_small else (832, 480)
    needs = needs_of(published, *size, 81)
    available = gibibytes * GIB - OVERHEAD
    rung = memory.choose_rung('cuda:0', needs, available)
    assert rung.name == (small if is_small else large)
    assert memory.predict_peak(rung, needs, True) <= available


@pytest.mark.parametrize(('device', 'gibibytes', 'options', 'small', 'large'), [
    ('cuda:0', 80, {}, False, False),
    ('cuda:0', 24, {}, False, True),
    ('cuda:0', 16, {}, False, True),
    ('cuda:0', 12, {}, True, True),
    ('cuda:0', 12, {
        'engine': 'wan'
    }, False, False),
    ('cuda:0', 80, {
        'memory': 'streamed'
    }, True, True),
    ('cuda:0', None, {}, False, False),
    ('mps', None, {}, True, True),
])
def test_auto_takes_it_where_weights_need_not_move_for_every_step(published, device, gibibytes,
                                                                  options, small, large):
    folder, kind, *_others = published
    budget = WanBudget(Configuration(model = ModelOptions(**options)))
    budget.use_device(device, gibibytes and gibibytes * GIB)
    is_slow = budget.explain_slow(folder) is not None
    assert is_slow is (small if kind.has_own_time else large)


def test_memory_is_given_back_and_the_same_clip_made_later(tiny):
    wanted = request(prompt = 'wind')
    expected, gone = animate(tiny.engine, photo(), wanted), weakref.ref(tiny.engine.holder.model)
    tiny.engine.unload()
    assert gone() is None and tiny.engine.status().reason is None
    tiny.engine.load()
    assert numpy.array_equal(animate(tiny.engine, photo(), wanted), expected)


def test_what_turns_out_to_be_slow_is_not_loaded_unless_asked_for_again(
        large, tmp_path, monkeypatch):
    engine = tiny_wan.made(large, tmp_path)
    found = []
    monkeypatch.setattr(engine.budget, 'use_device', lambda *device: found.append(device))
    monkeypatch.setattr(engine.budget, 'explain_slow',
                        lambda folder: text('engines.slow_gpu', engine = 'wan') if found else None)
    with pytest.raises(errors.EngineUnavailable):
        engine.load()
    assert engine.holder.model is None and engine.status().reason is None and engine.status().slow
    engine.load()
    assert engine.holder.model is not None


@pytest.mark.parametrize(('seconds', 'parts'), [(1, (25, )), (3.38, (81, )), (5, (121, )),
                                                (10, (121, 121)), (6, (73, 73)), (7, (85, 85)),
                                                (12, (97, 97, 97))])
def test_long_clips_have_even_parts(seconds, parts):
    clip = plan_clip(WanOptions(), kinds.SMALL, Asked((16, 9), seconds = seconds))
    assert clip.parts == parts and clip.frames == max(parts)


def test_parts_make_all_frames():
    for frames in range(5, 400, 4):
        parts = divide(frames, 81)
        assert sum(parts) - len(parts) + 1 == frames
        assert max(parts) <= 81 and max(parts) - min(parts) <= 4
        assert all(part % 4 == 1 for part in parts)


def test_a_long_clip_goes_on_from_its_last_frame(tiny):
    engine = tiny_wan.loaded(tiny.folder, tiny.home)
    clip, fit = engine.plan((96, 64), request())
    seen = []
    image = photo(96, 64).image
    wanted = Wanted(image, dataclasses.replace(clip, parts = (5, 9)), ('wind', '风'), 7)
    with torch.no_grad():
        frames = engine.holder.model.make(wanted,
                                          dataclasses.replace(fitted(fit), report = seen.append))
    of_plain = {'guidance_scale': clip.guidance}
    first = tiny_wan.reference(tiny.plain, image, 'wind', '风', **of_plain)
    then = tiny_wan.reference(
        tiny.plain, Image.fromarray(first[-1]), 'wind', '风', 8, num_frames = 9, **of_plain)
    assert is_joined(frames, first, then)
    steps = [(each.step, each.steps) for each in seen if each.phase == 'step']
    assert steps == sorted(steps) and set(steps) == {(number, 6) for number in range(1, 7)}
    phases = [each.phase for each in seen]
    assert [name for name, before in zip(phases, ['', *phases], strict = False)
            if name != before] == ['encoding', 'step', 'decoding']
    notes = [each.note.key for each in seen if each.note]
    assert notes[0] == 'engines.continued' and set(notes[1:]) <= {'engines.drifted'}


def test_the_usual_length_is_said(tiny):
    engine = tiny_wan.made(tiny.folder, tiny.home, {'frames': None})
    assert engine.usual_seconds == 3.38
    assert tiny_wan.made(tiny.folder, tiny.home, seconds = 2.5).usual_seconds == 2.5
    assert len(set(tiny.engine.plan((96, 64), request(seconds = 1))[0].parts)) == 1


@pytest.mark.parametrize(('frames', 'preset', 'seconds'),
                         [(None, 'quality', 3.38), (None, 'draft', 2.04), (9, 'draft', None),
                          (401, 'quality', None), (401, 'draft', 2.04)])
def test_the_length_that_is_recorded_makes_as_many_frames_again(tmp_path, frames, preset, seconds):
    engine = tiny_wan.made(tmp_path, tmp_path, {'frames': frames})
    engine.holder.model = SimpleNamespace(rung = ladder.RUNGS[0], was_tiled = False)
    wanted = request(preset = preset)
    recorded = engine.settings(wanted)
    assert recorded['Seconds'] == seconds
    again_engine = tiny_wan.made(
        tmp_path, tmp_path, {'frames': recorded['Frames']}, seconds = recorded['Seconds'])
    size = 96, 64
    assert again_engine.plan(size, wanted)[0].parts == engine.plan(size, wanted)[0].parts


def test_the_usual_length_is_that_of_the_usual_preset(tmp_path):
    assert tiny_wan.made(
        tmp_path, tmp_path, {
            'frames': None
        }, preset = 'draft').usual_seconds == 2.04


def test_the_usual_length_is_that_of_the_kind_before_it_is_loaded(large, tmp_path):
    engine = tiny_wan.made(large, tmp_path, {'frames': None})
    assert engine.status().reason is None
    assert (engine.fps, engine.usual_seconds) == (16, 5.06)


@pytest.mark.parametrize(('name', 'fps', 'longest', 'can_close'),
                         [('Wan-AI/Wan2.2-TI2V-5B-Diffusers', 24, 5.04, False),
                          ('Wan-AI/Wan2.2-I2V-A14B-Diffusers', 16, 5.06, True)])
def test_where_the_model_is_not_here_its_name_says_what_it_makes(tmp_path, name, fps, longest,
                                                                 can_close):
    """A web process of a fleet offers what the workers can."""
    engine = tiny_wan.made(name, tmp_path, {'frames': None})
    assert (engine.fps, engine.longest_seconds, engine.can_close) == (fps, longest, can_close)
    engine = tiny_wan.made(name, tmp_path, {'steps': None, 'lora': ('a/b/c.s', 'a/b/d.s')})
    assert engine.presets == ('quality', 'draft')


def walk(pipe, placed, kind):
    """Make every kind of step once, where the pipeline would look at numbers."""
    gpu, size = pretended_gpu.GPU, 4 * kind.multiple
    channels, width = pipe.vae.config.z_dim, 2 * size
    picture = torch.empty(1, 3, size, width, device = gpu)
    given = 1, channels, size, width, 5, torch.float32, gpu
    latents, condition, *_mask = pipe.prepare_latents(picture, *given)
    assert placed.photo_latents.shape == (channels, *latents.shape[3:])
    inputs = condition.expand(latents.shape) if kind.has_own_time else torch.cat(
        [latents, condition], 1)
    tokens = 2 * size * width // kind.multiple**2
    times = torch.empty((1, tokens) if kind.has_own_time else (1, ), device = gpu)
    text = torch.empty(1, 512, tiny_wan.EMBEDDING, dtype = torch.bfloat16, device = gpu)
    for transformer in placed.transformers:
        made, = transformer(inputs.to(torch.bfloat16), times, text, return_dict = False)
    assert placed.decode_video(made.transpose(1, 2)).device == gpu


@pytest.mark.parametrize('name', ['resident', 'offload', 'streamed'])
def test_weights_are_where_they_are_computed_with(tiny, name):
    kind, live = kinds.read_kind(tiny.folder), LiveBytes(None, 'cuda')
    source = pipeline.Source(tiny.folder, 'cpu', True)
    numbers = pipeline.load_pipeline(source)
    weights = sum(
        each.nbytes for part in (numbers.transformer, numbers.transformer_2, numbers.vae)
        if part is not None for each in (*part.parameters(), *part.buffers()))
    with pretended_gpu.pretended(), live:
        pipe = pretend(numbers)
        placed = PlacedPipeline(pipe, str(pretended_gpu.GPU),
                                ladder.named('cuda', name, memory.RUNGS))
        walk(pipe, placed, kind)
        placed.restore()
    assert live.now == (weights if name == 'resident' else 0)


def pretend(pipe):
    """The same pipeline, whose weights have no numbers."""
    parts = {}
    for name in ('vae', 'transformer', 'transformer_2'):
        part = getattr(pipe, name)
        parts[name] = part and type(part)(**part.config).eval()
        for one, other in zip(
                part.parameters() if part else (),
                parts[name].parameters() if part else (),
                strict = True):
            other.data = other.data.to(one.dtype)
    return diffusers.WanImageToVideoPipeline(
        tokenizer = None,
        text_encoder = None,
        scheduler = pipe.scheduler,
        boundary_ratio = pipe.config.boundary_ratio,
        expand_timesteps = pipe.config.expand_timesteps,
        **parts)
