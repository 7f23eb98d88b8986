#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
The option table: what can be set, of which type and in which range; one frozen dataclass for each section of the INI.
A new option is one line here and its words in the locale files, under ``options``.

Libraries: none but the standard one, because the launcher reads the options before anything is installed.
"""

import dataclasses
import typing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modules import engines
from modules.choices import DEPTHS, FITS, KEY_FRAMES, MOST_SECONDS, PRESETS, RUNGS
from modules.configuration.parsers import (
    Network,
    Parser,
    choice_parser,
    list_parser,
    number_parser,
    parse_boolean,
    parse_broker,
    parse_host_name,
    parse_network,
    parse_origin,
    pattern_parser,
)

#: the program's folder
ROOT = Path(__file__).resolve().parents[2]


def option(key: str,
           parse: Parser,
           default: Any,
           is_model: bool = False,
           unrecorded: str | None = None) -> Any:
    """
    Declare one option as a field of a section's dataclass.

    :param key: its name in the INI
    :type key: str
    :param parse: text → value
    :type parse: Parser
    :param default: its value where the INI says nothing
    :type default: Any
    :param is_model: whether it names a model, on the hub or by its folder
    :type is_model: bool
    :param unrecorded: the value that a result was made with which does not record the option
    :type unrecorded: str | None
    :return: the field; all but the default are its metadata
    :rtype: Any
    """
    return dataclasses.field(
        default = default,
        metadata = {
            'key': key,
            'parse': parse,
            'is_model': is_model,
            'unrecorded': unrecorded
        })


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
        'ModelName', str, 'stabilityai/stable-video-diffusion-img2vid-xt', is_model = True)
    output_fps: int = option('OutputFPS', number_parser(int, 1, 60), 15)
    output_frames: int = option('OutputFrames', number_parser(int, 1, 200), 25)
    seconds: float | None = option('Seconds', number_parser(float, 1, 10), None)
    max_seconds: float = option('MaxSeconds', number_parser(float, 1, MOST_SECONDS), 10.0)
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


#: section of the INI → the attribute of :class:`Configuration` that holds it, and its class
SECTIONS: dict[str, tuple[str, type]] = {
    kind.__name__: (name, kind)
    for name, kind in typing.get_type_hints(Configuration).items()
}

#: section → key → the dataclass field, whose metadata :func:`option` describes
OPTIONS: dict[str, dict[str, dataclasses.Field]] = {
    section: {
        field.metadata['key']: field
        for field in dataclasses.fields(kind)
    }
    for section, (_name, kind) in SECTIONS.items()
}
