#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
Which PyTorch is taken for which cards and drivers: pretended answers of NVIDIA's tool.

Libraries: packaging, pytest.
"""

import re
import sys
from pathlib import Path

import pytest
from packaging.specifiers import SpecifierSet

from modules.configuration import InstallationOptions
from modules.install import dependencies, nvidia, torch_builds
from modules.install.nvidia import Card, Driver

ROOT = Path(__file__).resolve().parents[2]
PLAIN = InstallationOptions()
INDEX = 'https://download.pytorch.org/whl/'

#: the versions that indexes list, and the capabilities that their last version has code for
#: (https://github.com/pytorch/pytorch/blob/main/RELEASE.md)
LISTED = {
    'cu130': (('2.9.0', '2.13.0'), ('7.5', '8.0', '8.6', '9.0', '10.0', '12.0')),
    'cu128': (('2.7.0', '2.11.0'), ('7.5', '8.0', '8.6', '9.0', '10.0', '12.0')),
    'cu126': (('2.6.0', '2.13.0'), ('5.0', '6.0', '7.0', '7.5', '8.0', '8.6', '9.0')),
    'cu118': (('2.6.0', '2.7.1'), ('5.0', '6.0', '7.0', '7.5', '8.0', '8.6', '9.0')),
}

#: cards as they are sold
CARDS = {
    '3.7': 'Tesla K80',
    '5.0': 'GTX 750 Ti',
    '5.2': 'GTX 980',
    '6.0': 'P100',
    '6.1': 'GTX 1080',
    '7.0': 'V100',
    '7.5': 'RTX 2080',
    '8.0': 'A100',
    '8.6': 'RTX 3090',
    '8.9': 'RTX 4090',
    '9.0': 'H100',
    '10.0': 'B200',
    '12.0': 'RTX 5090',
}


@pytest.fixture
def tool(tmp_path, monkeypatch):
    """Pretend that NVIDIA's tool says this when it is asked that."""
    monkeypatch.setenv('PATH', f'{tmp_path}:/bin:/usr/bin')

    def answer(**answers):
        (tmp_path / 'nvidia-smi').write_text('#!/bin/sh\ncase "$*" in\n' + ''.join(
            f"*{question}*) printf '{words}'; exit {0 if words else 9};;\n"
            for question, words in answers.items()) + '*) exit 9;;\nesac\n')
        (tmp_path / 'nvidia-smi').chmod(0o755)

    return answer


def choose(tool, cards, windows = False):
    """The build that is chosen where the tool tells these cards; empty for pip's own."""
    tool(query = cards.replace('\n', '\\n'))
    driver = nvidia.ask_driver(root = Path('/nowhere'))
    index = torch_builds.choose(driver, 'win32' if windows else 'linux', 'x86_64').index
    assert not index or index.startswith(INDEX)
    return index.removeprefix(INDEX)


@pytest.mark.parametrize(
    ('cards', 'build'),
    [
        # the newest cards and drivers
        ('8.6, 580.65.06\n', ''),
        ('12.0, 580.95.05\n', ''),
        ('7.5, 590.44.01\n', ''),
        ('13.0, 640.10\n', ''),
        # the driver is too old for CUDA 13
        ('8.6, 579.99\n', 'cu128'),
        ('7.5, 550.54.14\n', 'cu128'),
        ('8.0, 535.183.01\n', 'cu128'),
        ('9.0, 525.60.13\n', 'cu128'),
        ('12.0, 570.172.08\n', 'cu128'),
        ('10.0, 570.86.10\n', 'cu128'),
        # the card is left out of newer builds, whatever the driver
        ('5.2, 580.65.06\n', 'cu126'),
        ('6.1, 580.65.06\n', 'cu126'),
        ('7.0, 580.65.06\n', 'cu126'),
        ('6.1, 535.183.01\n', 'cu126'),
        # the driver is too old for CUDA 12
        ('8.6, 524.99\n', 'cu118'),
        ('6.1, 470.256.02\n', 'cu118'),
        ('7.0, 450.80.02\n', 'cu118'),
        ('8.6, 472.12\n', 'cu118'),
        # nothing has code for the card, or runs with the driver
        ('3.7, 470.256.02\n', 'cpu'),
        ('6.1, 440.33\n', 'cpu'),
        # several cards: what all of them can use, or else the strongest
        ('8.9, 560.94\n6.1, 560.94\n', 'cu126'),
        ('6.1, 580.95\n8.9, 580.95\n', 'cu126'),
        ('8.9, 580.95\n7.5, 580.95\n', ''),
        ('12.0, 580.95\n6.1, 580.95\n', ''),
        ('6.1, 570.172\n12.0, 570.172\n', 'cu128'),
        ('3.7, 460.32\n8.6, 460.32\n', 'cu118'),
        # names, a card of MIG parts, and a line that says nothing
        ('6.1, 550.54.14, NVIDIA GeForce GTX 1080, Ti\n', 'cu126'),
        ('\nWARNING: infoROM is corrupted\n8.6, 550.54.14, NVIDIA A10\n', 'cu128'),
    ])
def test_linux_gets_the_build_for_its_cards_and_driver(tool, cards, build):
    assert choose(tool, cards) == build


@pytest.mark.parametrize(('cards', 'build'), [
    ('8.6, 572.16\n', 'cu128'),
    ('12.0, 576.02\n', 'cu128'),
    ('12.0, 580.88\n', 'cu130'),
    ('7.5, 581.29\n', 'cu130'),
    ('7.5, 528.02\n', 'cu128'),
    ('8.6, 527.41\n', 'cu118'),
    ('6.1, 560.94\n', 'cu126'),
    ('7.0, 581.29\n', 'cu126'),
    ('8.9, 560.94\n6.1, 560.94\n', 'cu126'),
    ('8.6, 472.12\n', 'cu118'),
    ('8.6, 451.48\n', 'cpu'),
])
def test_windows_gets_the_build_for_its_cards_and_driver(tool, cards, build):
    assert choose(tool, cards, windows = True) == build


OLD = 'Field "compute_cap" is not a valid field to query.\\n'


@pytest.mark.parametrize('windows', [True, False])
def test_an_old_driver_that_knows_no_capability_is_asked_for_less(tool, windows):
    system = 'win32' if windows else 'linux'

    def build():
        driver = nvidia.ask_driver(root = Path('/nowhere'))
        return torch_builds.choose(driver, system, 'AMD64').index.removeprefix(INDEX)

    tool(compute_cap = OLD, driver_version = '470.256.02, Tesla K80\\n')
    assert build() == 'cu118'
    tool(compute_cap = OLD, driver_version = '418.67, Tesla K80\\n')
    assert build() == 'cpu'
    tool(query = OLD, L = 'GPU 0: A Card (UUID: GPU-1)\\n')
    assert build() == 'cu118'


@pytest.mark.parametrize(('system', 'machine'), [
    ('linux', 'aarch64'),
    ('darwin', 'arm64'),
    ('darwin', 'x86_64'),
    ('win32', 'ARM64'),
])
def test_other_machines_take_what_pip_takes(system, machine):
    driver = Driver('550.54', (Card('GH200', (9, 0)), ))
    choice = torch_builds.choose(driver, system, machine)
    assert choice.index == '' and not choice.is_certain


@pytest.mark.parametrize('system', ['linux', 'win32'])
def test_without_a_card_pip_takes_what_it_takes_and_nothing_has_to_go(system):
    choice = torch_builds.choose(None, system, 'x86_64')
    assert choice.index == '' and not choice.is_certain
    assert 'rocm' in torch_builds.choose(None, system, 'x86_64', True).reason.in_('en')


@pytest.mark.parametrize('windows', [True, False])
@pytest.mark.parametrize('driver',
                         ['450.80', '470.2', '525.60', '528.33', '550.54', '579.1', '580.88'])
@pytest.mark.parametrize('capability', CARDS)
def test_what_is_chosen_is_there_runs_with_the_driver_and_has_code_for_the_card(
        tool, capability, driver, windows):
    """The facts are told here a second time, by hand."""
    build = choose(tool, f'{capability}, {driver}, {CARDS[capability]}\n', windows) or 'cu130'
    major, card = int(driver.split('.')[0]), tuple(map(int, capability.split('.')))
    limits = {'cu130': 580, 'cu128': 528 if windows else 525, 'cu118': 452 if windows else 450}
    limits['cu126'] = limits['cu128']

    def fits(name):
        codes = [tuple(map(int, code.split('.'))) for code in LISTED[name][1]]
        return major >= limits[name] and any(code[0] == card[0] and code <= card for code in codes)

    fitting = [name for name in LISTED if fits(name)]
    assert build == (fitting[0] if fitting else 'cpu')


def test_every_index_has_a_version_that_the_requirements_allow():
    wanted = SpecifierSet(
        dependencies.find_requirement('torch', ROOT / 'requirements.txt').removeprefix('torch'))
    for build in torch_builds.BUILDS:
        assert all(version in wanted for version in LISTED[build.name][0])


@pytest.mark.parametrize('language', ['zh', 'en'])
@pytest.mark.parametrize(('cards', 'facts'), [
    ('6.1, 550.54.14, GTX 1080', ('cu126', 'GTX 1080 (6.1)', '550.54.14', '525', '5.0', '9.0')),
    ('8.6, 580.65, RTX 3090', ('RTX 3090 (8.6)', '580.65')),
    ('12.0, 580.65, RTX 5090\n6.1, 580.65, GTX 1080',
     ('RTX 5090 (12.0), GTX 1080 (6.1)', '580.65')),
    ('6.1, 440.33, GTX 1080', ('440.33', '450')),
    ('3.7, 470.1, K80', ('K80 (3.7)', )),
])
def test_the_reason_names_the_cards_the_driver_and_the_limits(tool, cards, facts, language):
    tool(query = cards.replace('\n', '\\n'))
    choice = torch_builds.choose(nvidia.ask_driver(root = Path('/nowhere')), 'linux', 'x86_64')
    reason = choice.reason.in_(language)
    assert all(words in reason for words in facts)


# What the person sets, and what was chosen before


def test_what_somebody_has_set_always_wins(tool):
    tool(query = '6.1, 550.54.14\\n')
    own = InstallationOptions(pytorch_index_url = 'https://pytorch.example/rocm')
    settled = dependencies.choose_indexes(own, INDEX + 'cu126')
    assert settled.pytorch_index_url == 'https://pytorch.example/rocm'
    assert settled.chosen_index == '' and settled.is_certain


ON_LINUX = pytest.mark.skipif(sys.platform != 'linux', reason = 'asks about this system')


@ON_LINUX
@pytest.mark.parametrize('answers', [
    {},
    {
        'query': 'No devices were found\\n'
    },
    {
        'query': 'Failed to initialize NVML: Driver/library version mismatch\\n'
    },
    {
        'compute_cap': OLD,
        'driver_version': '550.54, A Card\\n'
    },
])
def test_a_driver_without_a_full_answer_changes_nothing(tool, answers):
    tool(**answers)
    settled = dependencies.choose_indexes(PLAIN, INDEX + 'cu128')
    assert settled.pytorch_index_url == settled.chosen_index == INDEX + 'cu128'
    assert settled.reason.key == 'torch.remembered'


@ON_LINUX
def test_other_cards_change_what_was_chosen(tool):
    tool(query = '6.1, 550.54.14\\n')
    assert dependencies.choose_indexes(PLAIN, INDEX + 'cu128').chosen_index == INDEX + 'cu126'
    tool(query = '8.6, 580.65.06\\n')
    settled = dependencies.choose_indexes(PLAIN, INDEX + 'cu126')
    assert settled.chosen_index == '' and settled.is_certain


@ON_LINUX
def test_without_a_tool_nothing_is_asked_and_pip_decides(tmp_path, monkeypatch):
    monkeypatch.setenv('PATH', str(tmp_path))
    settled = dependencies.choose_indexes(PLAIN)
    assert settled.pytorch_index_url == '' and not settled.is_certain


# What the kernel tells


@pytest.mark.parametrize('words', [
    'NVRM version: NVIDIA UNIX x86_64 Kernel Module  550.54.14  Thu Feb 22 01:44:30 UTC 2024\n',
    'NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  550.54.14  Release Build  (root@x)\n',
])
def test_without_its_tool_the_driver_is_known_by_the_kernel(tmp_path, monkeypatch, words):
    monkeypatch.setenv('PATH', str(tmp_path))
    folder = tmp_path / 'proc/driver/nvidia'
    (folder / 'gpus' / '0000:01:00.0').mkdir(parents = True)
    (folder / 'version').write_text(words)
    driver = nvidia.ask_driver(root = tmp_path)
    assert driver == Driver('550.54.14', (Card(), ))
    # it does not tell what the cards are, and this build knows most of them
    choice = torch_builds.choose(driver, 'linux', 'x86_64')
    assert choice.index == INDEX + 'cu126' and not choice.is_certain


def test_a_tool_that_hangs_is_left_alone(tmp_path, monkeypatch):
    (tmp_path / 'nvidia-smi').write_text('#!/bin/sh\nexec sleep 60\n')
    (tmp_path / 'nvidia-smi').chmod(0o755)
    monkeypatch.setenv('PATH', f'{tmp_path}:/bin:/usr/bin')
    assert nvidia.ask_driver(patience = 0.2, root = tmp_path) is None


# Where PyTorch sees nothing


@pytest.mark.parametrize(('driver', 'cuda', 'key', 'facts'), [
    ('550.54.14', '13.0', 'torch.not_seen_driver', ('550.54.14', '13.0', '580')),
    ('470.256', '12.6', 'torch.not_seen_driver', ('470.256', '12.6', '525')),
    ('580.65', '', 'torch.not_seen_build', ('2.13.0+x', )),
    ('580.65', '13.0', 'torch.not_seen', ('RTX 3090 (8.6)', 'CUDA_VISIBLE_DEVICES')),
])
@pytest.mark.parametrize('language', ['zh', 'en'])
def test_it_is_told_why_pytorch_sees_no_card(driver, cuda, key, facts, language):
    reason = torch_builds.explain_unseen(
        Driver(driver, (Card('RTX 3090', (8, 6)), )), cuda, '2.13.0+x', INDEX + 'cu128')
    assert reason.key == key
    words = reason.in_(language)
    assert all(each in words for each in facts)
    # and the way out
    assert key == 'torch.not_seen' or (INDEX + 'cu128' in words and 'PYTORCH_INDEX_URL' in words)


READMES = ('README.md', 'README.zh-CN.md')


@pytest.mark.parametrize('readme', READMES)
def test_the_readme_tells_every_build_with_its_limits(readme):
    words = (ROOT / readme).read_text(encoding = 'utf-8')
    for build in torch_builds.BUILDS:
        row = next(line for line in words.splitlines() if re.search(rf'^\|.*{build.name}\b', line))
        assert str(build.linux) in row and str(build.windows) in row
        assert '{}.{}'.format(*build.weakest) in row
