#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
GPUs that are there and cannot compute, at once or one day: the real engine and program on tiny checkpoints, on a
processor that behaves as such a GPU does.

Libraries: pytest, torch, diffusers, numpy.
"""

import contextlib
import gc
import threading
import weakref
from dataclasses import replace

import numpy
import program
import pytest

from app import create_app
from modules import errors
from modules.clips.animator import Animator
from modules.commands import animate as batch
from modules.commands import arguments
from modules.configuration import Configuration, ModelOptions, WebOptions
from modules.engines import TABLE
from modules.engines.registry import Engines
from modules.engines.stable_video.engine import StableVideo
from modules.jobs import record
from modules.jobs.job import Job, new_id
from modules.photos.reader import PhotoReader
from modules.request import parse_request

torch = pytest.importorskip('torch')
pytest.importorskip('diffusers')

import tiny_checkpoint  # noqa: E402
import tiny_svd as plainly  # noqa: E402
from crashing import photo as picture_file  # noqa: E402
from program import until  # noqa: E402
from tiny_svd import animate, photo, request  # noqa: E402

#: the smallest clip that there is
OPTIONS = {
    'image_prompt_width': 64,
    'image_prompt_height': 64,
    'output_frames': 2,
    'inference_steps': 2
}

#: the same for a plain call
PLAIN = {'size': (64, 64), 'frames': 2, 'chunk': 2, 'steps': 2}

NO_KERNEL = 'CUDA error: no kernel image is available for execution on the device\nCUDA kernel errors might …'
ILLEGAL = 'CUDA error: an illegal memory access was encountered\nCUDA kernel errors might be …'


@pytest.fixture(autouse = True)
def convolutions(monkeypatch):
    """How convolutions are chosen is the same for the whole process."""
    monkeypatch.setattr(torch.backends.cudnn, 'benchmark', False)


class Gpu(StableVideo):
    """The engine, on a processor that it takes for a GPU; what :meth:`behave` does happens in every step."""

    tested = ('cpu', )

    def _load_sampler(self, folder, is_full):
        sampler = super()._load_sampler(folder, is_full)
        sampler.placed.pipe.unet.conv_in.register_forward_hook(
            lambda layer, inputs, made: self.behave(sampler, made))
        return sampler

    def behave(self, sampler, made):
        return made


class WithoutCode(Gpu):
    """PyTorch was not built for it."""

    def behave(self, sampler, made):
        raise RuntimeError(NO_KERNEL)


class Slow(WithoutCode):
    """The same, of which it takes a while to learn."""

    go_on = threading.Event()

    def load(self):
        self.go_on.wait(30)
        super().load()


class WithoutNumbers(Gpu):
    """Gives none, whatever is asked."""

    def behave(self, sampler, made):
        return made * float('nan')


class OneWay(Gpu):
    """Gives numbers with some convolutions only, as a GTX 1660 does."""

    def behave(self, sampler, made):
        return made if torch.backends.cudnn.benchmark else made * float('nan')


class Half(Gpu):
    """Computes at half precision, as GPUs do."""

    def _load_sampler(self, folder, is_full):
        sampler = super()._load_sampler(folder, is_full)
        if not is_full:
            for part in (sampler.placed.pipe.unet, sampler.placed.pipe.vae,
                         sampler.placed.pipe.image_encoder):
                part.half()
        return sampler


class Small(Gpu):
    """Has room from one rung of the ladder on."""

    first = 'split'

    def behave(self, sampler, made):
        if sampler.rung.name != self.first:
            raise torch.OutOfMemoryError('CUDA out of memory. Tried to allocate 2.00 GiB.')
        return made


class TooSmall(Small):
    """Has room on none."""

    first = ''


class Mortal(Gpu):
    """Reads where nothing is, from some moment on."""

    end = threading.Event()

    def behave(self, sampler, made):
        if self.end.is_set():
            raise RuntimeError(ILLEGAL)
        return made


def made(kind, folder, **options):
    model = ModelOptions(model_name = str(folder), device = 'cpu', **{**OPTIONS, **options})
    return kind(Configuration(model = model))


def loaded(kind, folder, **options):
    engine = made(kind, folder, **options)
    engine.load()
    return engine


def refused(kind, folder, **options):
    """Why an engine cannot work, once it was loaded."""
    engine = made(kind, folder, **options)
    assert engine.status().reason is None
    with pytest.raises(errors.EngineUnavailable) as caught:
        engine.load()
    reason = engine.status().reason
    assert caught.value.details['reason'] == reason
    with pytest.raises(errors.EngineUnavailable):
        engine.load()
    return reason


def test_a_gpu_that_pytorch_has_no_code_for_is_not_used_and_its_words_are_told(checkpoint):
    reason = refused(WithoutCode, checkpoint)
    assert reason.key == 'engines.device_cannot_compute'
    assert 'no kernel image is available' in reason.in_('en') and '\n' not in reason.in_('zh')


def test_a_sound_gpu_passes_and_its_clips_are_exact(checkpoint, caplog):
    engine = loaded(Gpu, checkpoint)
    assert 'trying' not in caplog.text and not torch.backends.cudnn.benchmark
    plain = plainly.load_plainly(checkpoint, 'fp16')
    expected = plainly.reference(plain, photo(128, 128), request(), **PLAIN)
    assert numpy.array_equal(animate(engine, photo(128, 128), request()), expected)
    assert animate(loaded(Half, checkpoint), photo(), request()).any()


def test_a_gpu_that_gives_no_numbers_is_not_used(checkpoint, caplog):
    assert refused(WithoutNumbers, checkpoint).key == 'engines.device_gives_no_numbers'
    assert 'trying cudnn.benchmark' in caplog.text and 'trying full precision' in caplog.text
    assert not torch.backends.cudnn.benchmark


@pytest.mark.parametrize('part', ['conv_in', 'conv_norm_out'])
def test_a_decoder_that_gives_no_numbers_is_noticed(checkpoint, part):

    class Blind(Gpu):
        """Has no numbers for one layer of the decoder."""

        def _load_sampler(self, folder, is_full):
            sampler = super()._load_sampler(folder, is_full)
            torch.nn.init.constant_(
                getattr(sampler.placed.pipe.vae.decoder, part).bias, float('inf'))
            return sampler

    assert refused(Blind, checkpoint).key == 'engines.device_gives_no_numbers'


def test_a_gpu_that_gives_numbers_one_way_goes_that_way(checkpoint):
    engine = loaded(OneWay, checkpoint)
    assert torch.backends.cudnn.benchmark
    assert animate(engine, photo(), request()).any()


def test_a_gpu_without_half_precision_computes_at_full(tmp_path, caplog):
    """Numbers that half precision has not stand for one that does not compute with it."""
    folder = tiny_checkpoint.make(tmp_path, half = False)
    plain = plainly.load_plainly(folder, None)
    with torch.no_grad():
        plain.unet.conv_in.weight *= 1e6
    plain.unet.save_pretrained(folder / 'unet')
    engine = loaded(Half, folder)
    assert 'trying full precision' in caplog.text and not torch.backends.cudnn.benchmark
    assert engine.holder.model.placed.pipe.unet.dtype == engine.holder.model.placed.pipe.vae.dtype == torch.float32
    expected = plainly.reference(plain, photo(128, 128), request(), **PLAIN)
    for _ in range(2):
        assert numpy.array_equal(animate(engine, photo(128, 128), request()), expected)


def test_at_full_precision_a_model_is_said_to_need_twice_as_much(checkpoint):
    engine = made(StableVideo, checkpoint)
    engine.budget.use_device('cuda:0', None)
    half = engine.budget.read_needs(checkpoint)
    engine.budget.is_full = True
    full = engine.budget.read_needs(checkpoint)
    assert (full.weights, full.half, full.frame) == (2 * half.weights, 2 * half.half,
                                                     2 * half.frame)


def test_where_memory_does_not_suffice_the_model_goes_down_the_ladder(checkpoint):
    engine, seen = loaded(Small, checkpoint), []
    assert animate(engine, photo(), request(), seen.append).any()
    assert engine.settings(request())['Memory'] == 'split'
    assert not [progress for progress in seen if progress.note], 'no clip was begun in vain'


def test_where_no_rung_suffices_the_engine_is_not_used(checkpoint):
    reason = refused(TooSmall, checkpoint)
    assert reason.key == 'engines.device_too_small' and 'OutputFrames' in reason.in_('en')


def test_layers_are_tested_in_parts_where_clips_compute_them_so(checkpoint):
    engine = loaded(Gpu, checkpoint, memory = 'chunked', output_frames = 6)
    chunks = {
        module._chunk_size
        for module in engine.holder.model.placed.pipe.unet.modules()
        if hasattr(module, '_chunk_size')
    }
    assert chunks == {2}


def test_a_gpu_that_fails_later_is_not_used_any_more(checkpoint):
    Mortal.end.clear()
    engine = loaded(Mortal, checkpoint)
    assert animate(engine, photo(), request()).any() and engine.status().reason is None
    Mortal.end.set()
    held = weakref.ref(engine.holder.model)
    with pytest.raises(errors.EngineUnavailable, match = 'illegal memory access') as raised:
        animate(engine, photo(), request())
    gc.collect()
    # whoever keeps the error keeps no model with it
    assert raised.value and held() is None
    assert engine.status().reason.key == 'engines.device_failed'
    assert engine.status().predict_memory() is None
    # not because it would be asked again: CUDA repeats the error for as long as the process lives
    Mortal.end.clear()
    for again in (engine.load, lambda: animate(engine, photo(), request())):
        with pytest.raises(errors.EngineUnavailable, match = 'illegal memory access'):
            again()


@pytest.mark.parametrize('words', [
    'mat1 and mat2 shapes cannot be multiplied', 'CUDA error: invalid argument',
    'cuDNN error: CUDNN_STATUS_EXECUTION_FAILED'
])
def test_what_fails_in_one_clip_on_a_gpu_that_computes_fails_that_clip_alone(checkpoint, words):

    class Picky(Gpu):
        """Fails once."""

        faults = []

        def behave(self, sampler, made):
            if self.faults:
                raise RuntimeError(self.faults.pop())
            return made

    engine = loaded(Picky, checkpoint)
    Picky.faults.append(words)
    with pytest.raises(RuntimeError, match = words):
        animate(engine, photo(), request())
    assert engine.status().reason is None and animate(engine, photo(), request()).any()


@pytest.mark.parametrize('value', ['nan', 'inf'])
def test_a_clip_ends_with_the_first_step_that_gives_no_numbers(checkpoint, value):

    class Failing(Gpu):
        """Gives none from the second step on."""

        steps = 0

        def behave(self, sampler, made):
            self.steps += 1
            return made * float(value) if self.steps == 4 else made

    engine, seen = loaded(Failing, checkpoint, inference_steps = 20), []
    engine.steps = 2
    with pytest.raises(errors.UnusablePicture):
        animate(engine, photo(), request(), seen.append)
    assert [progress.step for progress in seen if progress.phase == 'step'] == [1]
    assert engine.status().reason is None and animate(engine, photo(), request()).any()


@pytest.fixture
def serve(tmp_path, checkpoint):
    """Runs the whole program with another engine under the name of svd; gives its port."""
    with contextlib.ExitStack() as running:

        def start(kind, *further):
            model = ModelOptions(
                model_name = str(checkpoint),
                device = 'cpu',
                image_prompt_width = 64,
                image_prompt_height = 64,
                output_frames = 2,
                inference_steps = 2)
            options = Configuration(web = WebOptions(port = 0), model = model)
            engines = [
                Engines(options, {
                    **TABLE, 'svd': (__name__, each.__name__)
                }) for each in (kind, *further)
            ]
            app = create_app(options, tmp_path, engines = engines)
            start.queues.append(app.extensions['services'].queue)
            return running.enter_context(program.served(app, options.web))

        start.queues = []
        yield start


def health(port):
    answer = program.call(port, 'GET', '/health').json
    return answer['engine'], answer['engines']['svd']


def submit(port, **fields):
    body, headers = program.form(list(fields.items()), [('file', 'a.png', picture_file())])
    answer = program.call(port, 'POST', '/jobs', body, headers)
    return answer.json['id']


def generate(port, **fields):
    return program.generate(port, picture_file(), list(fields.items()), timeout = 120)


def ended(port, identity):
    """A job, once it has ended."""
    until(lambda: program.call(port, 'GET', f'/jobs/{identity}').json['finished'])
    return program.call(port, 'GET', f'/jobs/{identity}').json


def test_jobs_that_wait_for_a_gpu_that_fails_its_test_are_all_answered(serve):
    """Who left the engine to the program gets camera motion, who named one gets the reason."""
    Slow.go_on.clear()
    port = serve(Slow)
    assert health(port) == ('svd', None)
    auto, named = submit(port), submit(port, engine = 'svd')
    assert program.call(port, 'GET', f'/jobs/{auto}').json['engine'] == 'svd'
    Slow.go_on.set()
    auto, named = ended(port, auto), ended(port, named)
    assert (auto['state'], auto['engine'], auto['model']) == ('done', 'camera', None)
    gif = next(result for result in auto['results'] if result['format'] == 'gif')
    assert 'no kernel image' in gif['note'] and 'camera' in gif['note']
    assert (named['state'], named['error']['code']) == ('failed', 'engine_unavailable')
    assert 'no kernel image' in named['error']['message']
    engine, reason = health(port)
    assert engine == 'camera' and 'no kernel image' in reason
    assert generate(port).headers['X-Engine'] == 'camera'
    answer = generate(port, engine = 'svd')
    assert (answer.status, answer.json['code']) == (503, 'engine_unavailable')


@pytest.mark.parametrize('is_auto', [False, True])
def test_whether_the_engine_was_left_to_the_program_is_known_after_a_restart(tmp_path, is_auto):
    wanted = replace(parse_request([], tmp_path, 'a', 'svd'), is_auto = is_auto)
    job = Job(new_id(), tmp_path, wanted)
    assert record.job_from_json(tmp_path, 'queued',
                                record.job_to_json(job)).request.is_auto is is_auto


def test_a_gpu_that_fails_while_it_serves_is_left_alone_and_every_job_is_answered(serve):
    Mortal.end.clear()
    port = serve(Mortal)
    program.ready(port, seconds = 60)
    assert generate(port).headers['X-Engine'] == 'svd'
    Mortal.end.set()
    answer = generate(port, seed = 4)
    assert (answer.status, answer.headers['X-Engine'], answer.headers['X-Seed']) == (200, 'camera',
                                                                                     '4')
    assert 'illegal memory access' in answer.headers['X-Note']
    engine, reason = health(port)
    assert engine == 'camera' and 'illegal memory access' in reason
    answer = generate(port, engine = 'svd')
    assert (answer.status, answer.json['code']) == (503, 'engine_unavailable')
    answer = generate(port)
    assert answer.headers['X-Engine'] == 'camera' and 'X-Note' not in answer.headers


@pytest.mark.parametrize('gpus', [(WithoutCode, Gpu), (Gpu, WithoutCode)])
def test_of_two_gpus_the_one_that_computes_does_all_jobs(serve, caplog, gpus):
    port = serve(*gpus)
    until(lambda: 'no kernel image' in caplog.text)
    crew = serve.queues[0]._crew
    # the one that cannot has said so, and the other one asks for jobs
    until(lambda: 'A further device takes no jobs' in caplog.text or len(crew._ready) == 2)
    until(lambda: sum(not each.engines.own_reasons()['svd'] for each in list(crew._ready)) == 1)
    assert health(port) == ('svd', None)
    for fields in ({}, {}, {'engine': 'svd'}):
        answer = generate(port, **fields)
        assert (answer.status, answer.headers['X-Engine']) == (200, 'svd')
        assert 'X-Note' not in answer.headers


def test_the_job_in_which_a_gpu_fails_says_so_where_its_engine_was_named(serve):
    Mortal.end.clear()
    port = serve(Mortal)
    program.ready(port, seconds = 60)
    Mortal.end.set()
    answer = generate(port, engine = 'svd')
    assert (answer.status, answer.json['code']) == (503, 'engine_unavailable')
    assert 'illegal memory access' in answer.json['message']


def test_from_the_command_line_as_well(tmp_path, checkpoint, capsys):
    Mortal.end.clear()
    model = ModelOptions(model_name = str(checkpoint), device = 'cpu', **OPTIONS)
    options = Configuration(model = model)
    engines = Engines(options, {**TABLE, 'svd': (__name__, 'Mortal')})
    animator = Animator(options, PhotoReader(options.web.max_pixels), engines)
    animator.load()
    Mortal.end.set()
    photos = [tmp_path / f'{name}.png' for name in 'ab']
    for path in photos:
        path.write_bytes(picture_file())
    asked = arguments.parse(['animate', *map(str, photos)], 'en')
    assert batch.animate(animator, asked, 'en') == 0
    output = capsys.readouterr()
    assert output.out.count('camera') == output.err.count('illegal memory access') == 2
    assert all(path.with_suffix('.gif').is_file() for path in photos)
