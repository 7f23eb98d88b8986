#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
The option table: what can be set, of which type and in which range; one frozen dataclass for each section of the INI.
A new option is one line here and its words in the locale files, under ``options``. What one engine alone takes stands
in its folder, in ``options``, which names its dataclass ``SECTION``; they are collected here.

Libraries: none but the standard one, because the launcher reads the options before anything is installed.
"""

import dataclasses
import importlib
import importlib.util
import typing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from modules import engines
from modules.choices import DEPTHS, FITS, KEY_FRAMES, MOST_SECONDS, PRESETS, RUNGS, SMOOTH
from modules.option import (
    Network,
    choice_parser,
    count_parser,
    list_parser,
    number_parser,
    option,
    parse_boolean,
    parse_broker,
    parse_host_name,
    parse_network,
    parse_origin,
    pattern_parser,
)

#: the program's folder
ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen = True)
class LaunchOptions:
    """What the launcher does before the program runs."""

    use_venv: bool = option('UseVenv', parse_boolean, True)
    skip_python_checking: bool = option('SkipPythonChecking', parse_boolean, False)
    run_arguments: str = option('RunArguments', str, '')


@dataclass(frozen = True)
class InstallationOptions:
    """Where libraries come from."""

    pytorch_index_url: str = option('PyTorchIndexUrl', str, '')
    pip_mirror_url: str = option('PipMirrorUrl', str, '')
    model_repository_url: str = option('ModelRepositoryUrl', str, '')


@dataclass(frozen = True)
class StoreOptions:
    """Where files are kept, and for how long; relative paths start at the INI's folder."""

    venv_home: Path = option('VenvHome', Path, Path('.venv'))
    models_home: Path = option('ModelsHome', Path, Path('models'))
    outputs_home: Path = option('OutputsHome', Path, Path('outputs'))
    retention_hours: float = option('RetentionHours', number_parser(float, 0, 1_000_000), 168.0)
    max_outputs_bytes: int = option('MaxOutputsBytes', number_parser(int, 0, 2**60), 20_000_000_000)


@dataclass(frozen = True)
class WebOptions:
    """The server."""

    host: str = option('Host', str, '127.0.0.1')
    port: int = option('Port', number_parser(int, 0, 65535), 5000)
    max_content_length: int = option('MaxContentLength', number_parser(int, 0, 2**40), 32 * 2**20)
    max_pixels: int = option('MaxPixels', number_parser(int, 1, 2**40), 100_000_000)
    password: str = option('Password', str, '')
    allowed_hosts: tuple[str, ...] = option('AllowedHosts', list_parser(parse_host_name), ())
    allowed_origins: tuple[str, ...] = option('AllowedOrigins', list_parser(parse_origin), ())
    trusted_proxies: tuple[Network, ...] = option('TrustedProxies', list_parser(parse_network), ())
    requests_per_minute: int = option('RequestsPerMinute', number_parser(int, 0, 1_000_000), 600)


@dataclass(frozen = True)
class QueueOptions:
    """Jobs that wait."""

    broker: str = option('Broker', parse_broker, '')
    max_waiting: int = option('MaxWaiting', number_parser(int, 1, 1000), 16)
    max_waiting_per_client: int = option('MaxWaitingPerClient', number_parser(int, 0, 1000), 4)


@dataclass(frozen = True)
class ModelOptions:
    """How a clip is made."""

    device: str = option(
        'Device', pattern_parser(r'auto|cuda(:\d+)?|mps|cpu', 'auto, cuda, cuda:N, mps, cpu'),
        'auto')
    engine: str = option('Engine', choice_parser('auto', *engines.TABLE), 'auto')
    model_name: str = option(
        'ModelName', str, 'stabilityai/stable-video-diffusion-img2vid-xt', names = 'model')
    output_fps: int = option('OutputFPS', number_parser(int, 1, 60), 15)
    output_frames: int = option('OutputFrames', number_parser(int, 1, 200), 25)
    seconds: float | None = option('Seconds', number_parser(float, 1, 10), None)
    max_seconds: float = option('MaxSeconds', number_parser(float, 1, MOST_SECONDS), 10.0)
    smooth: int = option('Smooth', count_parser(*SMOOTH), 2, unrecorded = '1')
    conditioning_fps: int = option('ConditioningFPS', number_parser(int, 1, 30), 7)
    inference_steps: int = option('InferenceSteps', number_parser(int, 1, 200), 25)
    decode_chunk_size: int | None = option('DecodeChunkSize', number_parser(int, 1, 200), None)
    unet: bool = option('UNet', parse_boolean, True)
    memory: str = option('Memory', choice_parser('auto', *RUNGS), 'auto')
    image_prompt_width: int = option('ImagePromptWidth', number_parser(int, 64, 4096, 64), 1024)
    image_prompt_height: int = option('ImagePromptHeight', number_parser(int, 64, 4096, 64), 576)
    preset: str = option('Preset', choice_parser(*PRESETS), 'quality')
    image_fit: str = option('ImageFit', choice_parser(*FITS), 'stretch')
    depth: str = option('Depth', choice_parser('auto', *DEPTHS), 'auto', unrecorded = DEPTHS[0])


@dataclass(frozen = True)
class OutputOptions:
    """The files."""

    gif_max_bytes: int = option('GifMaxBytes', number_parser(int, 0, 2**40), 0)
    key_frame: str = option('KeyFrame', choice_parser(*KEY_FRAMES), 'end')
    keep_location: bool = option('KeepLocation', parse_boolean, False)


def _find_engine_sections() -> tuple[type, ...]:
    """Find the sections that engines have of their own."""
    names = [f'{module.rpartition(".")[0]}.options' for module, _class in engines.TABLE.values()]
    found = [name for name in names if name[0] != '.' and importlib.util.find_spec(name)]
    return tuple(importlib.import_module(name).SECTION for name in found)


Section = TypeVar('Section')

ENGINE_SECTIONS = _find_engine_sections()


@dataclass(frozen = True)
class Configuration:
    """All options. The INI's sections have the names of the classes."""

    launch: LaunchOptions = LaunchOptions()
    installation: InstallationOptions = InstallationOptions()
    store: StoreOptions = StoreOptions()
    web: WebOptions = WebOptions()
    queue: QueueOptions = QueueOptions()
    model: ModelOptions = ModelOptions()
    output: OutputOptions = OutputOptions()
    #: one for each of :data:`ENGINE_SECTIONS`
    engines: tuple[Any, ...] = tuple(kind() for kind in ENGINE_SECTIONS)

    def find_section(self, kind: type[Section]) -> Section:
        """
        Find the section that an engine has of its own.

        :param kind: its class
        :type kind: type[Section]
        :return: the options
        :rtype: Section
        """
        return next(each for each in self.engines if isinstance(each, kind))

    @property
    def sections(self) -> tuple[Any, ...]:
        """All sections, in the order of :data:`SECTIONS`."""
        *own, of_engines = (getattr(self, field.name) for field in dataclasses.fields(self))
        return (*own, *of_engines)


#: section of the INI → its class
SECTIONS: dict[str, type] = {
    kind.__name__: kind
    for kind in (*list(typing.get_type_hints(Configuration).values())[:-1], *ENGINE_SECTIONS)
}

#: section → key → the dataclass field, whose metadata :func:`modules.option.option` describes
OPTIONS: dict[str, dict[str, dataclasses.Field]] = {
    section: {
        field.metadata['key']: field
        for field in dataclasses.fields(kind)
    }
    for section, kind in SECTIONS.items()
}
