#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
The files of Wan: which are fetched of either kind, from a hub on this machine, and when they are whole.

Libraries: pytest.
"""

import dataclasses
import json

import hub
import pytest

from modules import weights
from modules.configuration import Configuration, InstallationOptions, StoreOptions
from modules.engines.wan.files import WAN
from modules.engines.wan.options import WanOptions
from modules.weights import plan
from modules.weights.download import Observer, download
from modules.weights.plan import Terms
from modules.weights.sources import Hub, list_sources

PARTS = ('text_encoder/model', 'transformer/diffusion_pytorch_model', 'vae/diffusion_pytorch_model')


def repository(*more):
    """A model's files as published, and what nobody needs."""
    parts = [*PARTS, *(f'{part}/diffusion_pytorch_model' for part in more)]
    files = {'model_index.json': b'{"expand_timesteps": true}', 'README.md': b'words'}
    for name in ('scheduler/scheduler_config', 'tokenizer/tokenizer_config', 'tokenizer/tokenizer'):
        files[f'{name}.json'] = b'{"a": 1}'
    for number, part in enumerate(parts):
        files[f'{part.rpartition("/")[0]}/config.json'] = b'{"a": 1}'
        shards = [f'{part}-0000{shard}-of-00002.safetensors' for shard in (1, 2)]
        files |= {shard: hub.tensors(900, number) for shard in shards}
        names = {f'weight{number}': shard.rpartition('/')[2] for number, shard in enumerate(shards)}
        files[f'{part}.safetensors.index.json'] = json.dumps({'weight_map': names}).encode()
    return files | {'tokenizer/spiece.model': b'old', 'examples/cat.mp4': b'film'}


@pytest.fixture
def configuration(tmp_path):
    own = WanOptions(model_name = hub.NAME)
    return dataclasses.replace(
        Configuration(), store = StoreOptions(models_home = tmp_path / 'models'), engines = (own, ))


@pytest.mark.parametrize('more', [(), ('transformer_2', )], ids = ['small', 'large'])
def test_fetches_exactly_the_needed_files(configuration, more):
    files = repository(*more)
    needed = sorted(set(files) - {'README.md', 'tokenizer/spiece.model', 'examples/cat.mp4'})
    with hub.Hub(files).serving() as server:
        terms = Terms((Hub(server.url), ), hub.HASTE)
        planned = plan.make_plan(configuration, WAN, terms = terms)
        assert planned.bytes_total == sum(len(files[path]) for path in needed)
        folder = download(configuration, WAN, Observer(), terms)
        assert server.paths() == needed
    assert folder == configuration.store.models_home / hub.NAME
    assert weights.find(configuration, WAN) == folder
    for path in needed:
        if path.endswith('.safetensors'):
            content = (folder / path).read_bytes()
            (folder / path).write_bytes(content[:-1])
            assert weights.find(configuration, WAN) is None, path
            (folder / path).write_bytes(content)
    assert weights.find(configuration, WAN) == folder


def test_the_address_of_another_model_names_only_a_host(configuration):
    url = 'https://mirror.example/stabilityai/stable-video-diffusion-img2vid-xt'
    installation = InstallationOptions(model_repository_url = url)
    named = dataclasses.replace(configuration, installation = installation)
    assert list_sources(named, WAN)[0].endpoint == 'https://mirror.example'
