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
from modules.engines.wan.files import WAN, describe_lora, find_lora
from modules.engines.wan.options import WanOptions, parse_lora
from modules.option import InvalidValue
from modules.weights import plan
from modules.weights.download import Observer, download
from modules.weights.fetcher import Fetcher
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


@pytest.mark.parametrize(('name', 'gigabytes'), [('Wan-AI/Wan2.2-TI2V-5B-Diffusers', 34),
                                                 ('Wan-AI/Wan2.2-I2V-A14B-Diffusers', 126)])
def test_what_is_fetched_depends_on_the_model_that_is_named(configuration, name, gigabytes):
    named = dataclasses.replace(configuration, engines = (WanOptions(model_name = name), ))
    assert WAN.expect_bytes(named) // 10**9 == gigabytes
    lora = ('an/other/high.safetensors', 'an/other/low.safetensors')
    named = dataclasses.replace(named, engines = (WanOptions(model_name = name, lora = lora), ))
    assert WAN.expect_bytes(named) // 10**9 == gigabytes + 2


def test_the_address_of_another_model_names_only_a_host(configuration):
    url = 'https://mirror.example/stabilityai/stable-video-diffusion-img2vid-xt'
    installation = InstallationOptions(model_repository_url = url)
    named = dataclasses.replace(configuration, installation = installation)
    assert list_sources(named, WAN)[0].endpoint == 'https://mirror.example'


def with_lora(configuration, *names):
    own = dataclasses.replace(configuration.find_section(WanOptions), lora = names)
    return dataclasses.replace(configuration, engines = (own, ))


def test_files_for_few_steps_are_fetched_with_the_model(configuration):
    names = [f'somebody/loras/i2v.v1/{noise}_noise_model.safetensors' for noise in ('high', 'low')]
    named = with_lora(configuration, *names)
    files = {name.removeprefix('somebody/loras/'): hub.tensors(400, len(name)) for name in names}
    others = {'i2v.v2/high_noise_model.safetensors': hub.tensors(400), 'README.md': b'words'}
    assert find_lora(configuration) == () and find_lora(named) is None
    with hub.Hub(repository()).serving() as one, hub.Hub({
            **files,
            **others
    }, 'somebody/loras').serving() as other:
        fetcher = Fetcher(named, WAN, Terms((Hub(one.url), Hub(other.url)), hub.HASTE))
        fetcher.start()
        fetcher._thread.join(30)
        assert fetcher.state().state == 'done' and other.paths() == sorted(files)
    home = configuration.store.models_home
    assert weights.find(named, WAN) == home / hub.NAME
    assert find_lora(named) == tuple(home / name for name in names)
    (home / names[1]).unlink()
    assert find_lora(named) is None


def test_files_for_few_steps_come_beside_others_of_their_repository(configuration):
    pairs = [[f'{hub.NAME}/{name}/{noise}.safetensors' for noise in ('high', 'low')]
             for name in ('one', 'other')]
    files = {name.removeprefix(f'{hub.NAME}/'): hub.tensors(400) for pair in pairs for name in pair}
    with hub.Hub({**repository(), **files}).serving() as server:
        terms = Terms((Hub(server.url), ), hub.HASTE)
        download(configuration, WAN, Observer(), terms)
        for pair in pairs:
            named = with_lora(configuration, *pair)
            download(named, describe_lora(named), Observer(), terms)
    assert weights.find(configuration, WAN)
    assert all(find_lora(with_lora(configuration, *pair)) for pair in pairs)
    # nothing was laid aside, and nothing is left of the way
    assert [
        path.name for path in (configuration.store.models_home / hub.NAME).parent.iterdir()
        if path.is_dir()
    ] == [hub.NAME.rpartition('/')[2]]


@pytest.mark.parametrize(
    'make_name',
    [lambda folder: folder / 'deep' / 'er', lambda folder: folder.parent / folder.name])
def test_files_for_few_steps_may_lie_in_any_folder(configuration, tmp_path, make_name):
    folder = make_name(tmp_path / 'folder')
    folder.mkdir(parents = True)
    names = [str(folder / name) for name in ('a.1.safetensors', 'b.1.safetensors')]
    for name in names:
        (folder / name).write_bytes(hub.tensors(400))
    found = find_lora(with_lora(configuration, *names))
    assert list(map(str, found)) == names
    model = describe_lora(with_lora(configuration, *names))
    with pytest.raises(weights.LocalError) as refused:
        plan.read_hub_name(configuration, model)
    assert refused.value.text.values['option'] == 'Lora'


@pytest.mark.parametrize(
    'value',
    ['a/b/c.safetensors', 'a/b/c.safetensors, a/d/e.safetensors', 'a/b/c.safetensors, a/b/d.bin'])
def test_what_is_no_pair_of_files_is_refused(value):
    with pytest.raises(InvalidValue):
        parse_lora(value)
    assert parse_lora('a/b/c.safetensors,a/b/d.safetensors')[1] == 'a/b/d.safetensors'
