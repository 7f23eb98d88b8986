#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
The model's files: where they lie on this machine and whether they are whole. What fetches them lives
beside.

Libraries: none here.
"""

import contextlib
import functools
import json
import os
import struct
from pathlib import Path

from modules.configuration import ROOT, Configuration
from modules.i18n import Text

#: the parts of the pipeline → the file that describes each
CONFIGS = {
    'feature_extractor': 'preprocessor_config.json',
    'image_encoder': 'config.json',
    'scheduler': 'scheduler_config.json',
    'unet': 'config.json',
    'vae': 'config.json',
}

#: the parts that have weights → the name their files start with
STEMS = {
    'image_encoder': 'model',
    'unet': 'diffusion_pytorch_model',
    'vae': 'diffusion_pytorch_model',
}

#: a safetensors header longer than this is none
_LONGEST_HEADER = 100_000_000


class WeightsError(Exception):
    """
    Why the model could not be fetched, and what to do about it.

    :param text: one sentence
    :type text: Text
    """

    def __init__(self, text: Text):
        super().__init__(text)
        self.text = text

    def __str__(self) -> str:
        return self.text.in_('en')


class LocalError(WeightsError):
    """A reason that lies on this machine, so that asking another source would not help."""


def find(configuration: Configuration) -> Path | None:
    """
    The local model; cheap, and asked anew for every request.

    :param configuration: the options; ``ModelName`` is a folder, or a hub name whose folder is
        ``ModelsHome/<owner>/<name>``, ``ModelsHome/<name>``, or where other programs of the hub keep it
    :type configuration: Configuration
    :return: the absolute path of a folder that holds a whole model, or None
    :rtype: Path | None
    """
    name = Path(configuration.model.model_name).expanduser()
    home = configuration.store.models_home
    places = (Path.cwd() / name, ROOT / name, home / name, home / name.name,
              *_cached(configuration.model.model_name))
    return next((place for place in places if is_whole(place)), None)


def _cached(name: str) -> list[Path]:
    """
    Snapshots in the folder that all programs share which use the hub's library, and that a Space is built with. It is
    looked for as that library does, which may not be installed yet.
    """
    caches = os.environ.get('XDG_CACHE_HOME') or '~/.cache'
    home = os.environ.get('HF_HOME') or f'{caches}/huggingface'
    cache = os.environ.get('HF_HUB_CACHE') or f'{home}/hub'
    # pathlib's own fails where there is no home
    cache = Path(os.path.expanduser(cache))  # noqa: PTH111
    with contextlib.suppress(OSError):
        return sorted((cache / f'models--{name.replace("/", "--")}' / 'snapshots').glob('*'))
    return []


def is_whole(folder: Path) -> bool:
    """
    Whether a folder holds every file the pipeline needs, each of its full length.

    :param folder: any path
    :type folder: Path
    :return: False for an empty folder, a download that was cut short and git-lfs pointers as well
    :rtype: bool
    """
    configs = [
        folder / 'model_index.json', *(folder / part / name for part, name in CONFIGS.items())
    ]
    return all(map(_content, configs)) and bool(variants(folder))


def variants(folder: Path) -> tuple[str | None, ...]:
    """
    What can be given as ``variant`` to diffusers' ``from_pretrained`` with this folder.

    :param folder: a model's folder
    :type folder: Path
    :return: ``'fp16'`` where half-precision files are there and whole (parts that have none are taken
        from the plain ones, as diffusers does), None where the plain files are whole
    :rtype: tuple[str | None, ...]
    """
    plain = all(_has_weights(folder / part, stem, None) for part, stem in STEMS.items())
    halves = [part for part in STEMS if any((folder / part).glob('*.fp16*.safetensors*'))]
    half = halves and all(
        _has_weights(folder / part, stem, 'fp16' if part in halves else None)
        for part, stem in STEMS.items())
    return (('fp16', ) if half else ()) + ((None, ) if plain else ())


def _has_weights(folder: Path, stem: str, variant: str | None) -> bool:
    """One file, or an index and every shard it names."""
    dot = f'.{variant}' if variant else ''
    if (folder / f'{stem}{dot}.safetensors').is_file():
        return _is_whole_file(folder / f'{stem}{dot}.safetensors')
    index = _content(folder / f'{stem}.safetensors.index{dot}.json')
    shards = set(index.get('weight_map', {}).values())
    return bool(shards) and all(_is_whole_file(folder / shard) for shard in shards)


def _content(path: Path) -> dict:
    """What a JSON file says; nothing where there is none or it says no object."""
    try:
        content = json.loads(path.read_text(encoding = 'utf-8'))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _is_whole_file(path: Path) -> bool:
    try:
        status = path.stat()
        return status.st_size == _described_size(path, status.st_size, status.st_mtime_ns)
    except OSError:
        return False


@functools.lru_cache(maxsize = 64)
def _described_size(path: Path, size: int, _changed: int) -> int:
    """The length a safetensors file should have by its own header; -1 where it has no header."""
    with path.open('rb') as file:
        start = file.read(8)
        length = struct.unpack('<Q', start)[0] if len(start) == 8 else 0
        if not 2 <= length <= min(size - 8, _LONGEST_HEADER):
            return -1
        try:
            tensors = json.loads(file.read(length))
            ends = [
                tensor['data_offsets'][1] for name, tensor in tensors.items()
                if name != '__metadata__'
            ]
        except (ValueError, KeyError, TypeError, AttributeError):
            return -1
    return 8 + length + max(ends, default = 0)
