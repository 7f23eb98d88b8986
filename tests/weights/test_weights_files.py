#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
What files of weights say of themselves, and Stable Video Diffusion in one file, which is not read.

Libraries: pytest, torch, diffusers, safetensors.
"""

import subprocess
import sys

import program
import pytest

from app import create_app
from modules import weights
from modules.commands import doctor, download
from modules.configuration import ROOT, Configuration, ModelOptions, StoreOptions, WebOptions
from modules.engines.registry import Engines
from modules.engines.stable_video import memory
from modules.engines.stable_video.engine import StableVideo
from modules.engines.stable_video.files import VIDEO
from modules.weights import plan, tensors
from modules.weights.sources import Hub

torch = pytest.importorskip('torch')
pytest.importorskip('diffusers')

import tiny_checkpoint  # noqa: E402
from hub import HASTE  # noqa: E402
from safetensors.torch import save_file  # noqa: E402

from modules.engines.stable_video import pipeline  # noqa: E402

PARTS = ('unet', 'vae', 'image_encoder')


@pytest.fixture(scope = 'module')
def half_under_plain_names(tmp_path_factory):
    """As a person leaves it who saved a model that was loaded at half precision."""
    folder = tmp_path_factory.mktemp('plain')
    tiny_checkpoint.make(folder)
    pipe = pipeline.load_pipeline(pipeline.Source(folder, 'fp16', True))
    other = tmp_path_factory.mktemp('saved')
    pipe.scheduler.alphas_cumprod = torch.from_numpy(pipe.scheduler.alphas_cumprod)
    pipe.save_pretrained(other)
    return other


@pytest.mark.parametrize('device', ['cpu', 'cuda:0'])
def test_half_precision_under_plain_names_is_counted_as_what_is_loaded(
        half_under_plain_names, device):
    assert weights.variants(half_under_plain_names, VIDEO) == (None, )
    pipe = pipeline.load_pipeline(pipeline.Source(half_under_plain_names, None, device != 'cpu'))
    width = 4 if device == 'cpu' else 2
    needs = memory.read_needs(half_under_plain_names, None, ModelOptions(), width = width)
    for part in PARTS:
        held = sum(tensor.numel() * tensor.element_size()
                   for tensor in getattr(pipe, part).parameters())
        assert 0 <= getattr(needs, part) - held < 0.01 * held, part


@pytest.mark.parametrize('kind', ['float64', 'float32', 'float16', 'bfloat16'])
def test_a_file_says_what_it_takes_at_any_precision(tmp_path, kind):
    path = tmp_path / 'a.safetensors'
    numbers = {
        'a': torch.ones(3, 5, dtype = getattr(torch, kind)),
        'b': torch.ones(7, dtype = torch.int64),
        'c': torch.tensor(1.0, dtype = getattr(torch, kind))
    }
    save_file(numbers, path, {'format': 'pt'})
    described = tensors.describe(path)
    assert described.size == path.stat().st_size
    assert (described.bytes_at(2), described.bytes_at(4)) == (16 * 2 + 56, 16 * 4 + 56)


@pytest.mark.parametrize('content', [
    b'', b'\0' * 100, b'\2\0\0\0\0\0\0\0[]', b'\7\0\0\0\0\0\0\0{"a":1}',
    b'\x10\0\0\0\0\0\0\0{"a":{"dtype":1}}',
    b'\x38\0\0\0\0\0\0\0{"a":{"dtype":"F16","shape":[1],"data_offsets":[0,"x"]}}',
    b'version https://git-lfs.github.com/spec/v1\n'
])
def test_what_is_no_such_file_says_nothing(tmp_path, content):
    path = tmp_path / 'a.safetensors'
    path.write_bytes(content)
    assert tensors.describe(path) is None


#: where people have it
PLACES = [('models', '', 'svd_xt.safetensors'), ('models/owner/name', '', 'svd.safetensors'),
          ('models/name', '', 'svd_xt_1_1.safetensors'),
          ('comfy', 'comfy/SVD_XT.safetensors', 'SVD_XT.safetensors'),
          ('comfy', 'comfy', 'svd-xt-fp16.safetensors')]


def options(tmp_path, place, name, file):
    folder = tmp_path / place
    folder.mkdir(parents = True)
    save_file({'a': torch.ones(1)}, folder / file)
    model = ModelOptions(
        model_name = str(tmp_path / name) if name else 'owner/name', device = 'cpu')
    return Configuration(
        model = model,
        store = StoreOptions(models_home = tmp_path / 'models'),
        web = WebOptions(port = 0))


@pytest.mark.parametrize(('place', 'name', 'file'), PLACES)
def test_the_model_in_one_file_is_recognised_and_the_way_out_told(tmp_path, place, name, file):
    configuration = options(tmp_path, place, name, file)
    reason = StableVideo(configuration).status().reason
    assert reason.key == 'engines.svd_single_file'
    for language in ('en', 'zh'):
        assert file in reason.in_(language) and './START download' in reason.in_(language)
        assert str(tmp_path) not in reason.in_(language)


@pytest.mark.parametrize('file', ['sdxl.safetensors', 'svdquant.safetensors', 'svd_xt.ckpt'])
def test_other_models_in_one_file_are_not_taken_for_it(tmp_path, file):
    reason = StableVideo(options(tmp_path, 'models', '', file)).status().reason
    assert reason.key == 'engines.no_weights'


def test_a_whole_model_beside_it_is_what_is_used(tmp_path):
    configuration = options(tmp_path, 'models/owner/name', '', 'svd_xt.safetensors')
    tiny_checkpoint.make(tmp_path / 'models' / 'owner' / 'name')
    assert StableVideo(configuration).status().reason is None


def test_a_file_is_no_name_on_hubs(tmp_path):
    configuration = Configuration(model = ModelOptions(model_name = 'models/svd_xt.safetensors'))
    with pytest.raises(weights.LocalError, match = 'owner/name'):
        plan.read_hub_name(configuration, VIDEO)


def test_the_page_doctor_and_the_fetcher_tell_it(tmp_path, capsys):
    configuration = options(tmp_path, 'models', '', 'svd_xt.safetensors')
    lines = dict(doctor.report(configuration, Engines(configuration), 'en'))
    assert lines['engine svd'].startswith(
        'svd_xt.safetensors is Stable Video Diffusion in one file')
    nobody = plan.Terms((Hub('http://127.0.0.1:9'), ), HASTE, 0)
    assert download.fetch(configuration, 'en', nobody) == 1
    assert 'svd_xt.safetensors is Stable Video' in capsys.readouterr().out
    app = create_app(configuration, tmp_path / 'outputs')
    with program.served(app, configuration.web) as port:
        page = program.call(port, 'GET', '/?lang=en').body.decode()
        assert 'svd_xt.safetensors is Stable Video' in page and 'id="fetch-video"' in page
        assert 'svd_xt' in program.call(port, 'GET', '/health').json['engines']['svd']


def test_the_models_are_described_before_any_library_is_installed():
    """The launcher asks whether the model is here."""
    code = ('import sys; sys.path.insert(0, sys.argv[1]); from modules.engines import models;'
            'print(*models.MODELS)')
    done = subprocess.run(
        [sys.executable, '-I', '-S', '-c', code, str(ROOT)],
        capture_output = True,
        text = True,
        check = False)
    assert done.stdout.split() == ['video', 'depth', 'wan'], done.stderr
