#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
Texts as the model takes them. The model that reads them is larger than the one that makes the clip, so what it makes of
a text is kept on the disk, and it is read for texts alone that were never seen, by itself, and let go.

Libraries: torch and safetensors, imported when the engine loads; the model's own through what is handed in.
"""

import hashlib
import logging
import os
import uuid
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from modules.engines.wan.options import WanOptions
from modules.progress import StopIfCancelled, do_nothing

if TYPE_CHECKING:
    import torch

logger = logging.getLogger(__name__)

#: texts whose embeddings are kept, 4 MB each at half precision
MOST = 64

#: the same in memory, where they cannot be kept on the disk
MOST_IN_MEMORY = 8

#: as torch names what is computed with
PRECISIONS = ('torch.bfloat16', 'torch.float16', 'torch.float32')

#: tokens of a text
TOKENS = 512

#: what happens where nobody says it: with no text at all, the camera moves and nothing else does
PROMPT = (
    'The photo comes to life. People breathe, blink and move a little, hair and clothes stir in a '
    'light breeze, leaves, water, clouds and smoke move as they do in nature. Smooth, natural, real '
    'motion; the camera is steady.')

#: the makers' own, https://github.com/Wan-Video/Wan2.2 (``sample_neg_prompt``): still pictures above all
NEGATIVE_PROMPT = ('色调艳丽，过曝，静态，细节模糊不清，字幕，风格，作品，画作，画面，静止，整体发灰，最差质量，'
                   '低质量，JPEG压缩残留，丑陋的，残缺的，多余的手指，画得不好的手部，画得不好的脸部，'
                   '畸形的，毁容的，形态畸形的肢体，手指融合，静止不动的画面，杂乱的背景，三条腿，'
                   '背景人很多，倒着走')


def choose_texts(own: WanOptions,
                 prompt: str | None = None,
                 negative: str | None = None) -> tuple[str, str]:
    """
    Choose what should happen and what should not be seen.

    :param own: the options
    :type own: WanOptions
    :param prompt: what a request says should happen
    :type prompt: str | None
    :param negative: what it says should not be seen
    :type negative: str | None
    :return: both, as asked, as set, or as is good for most photos
    :rtype: tuple[str, str]
    """
    return (prompt or own.prompt or PROMPT, negative or own.negative_prompt or NEGATIVE_PROMPT)


class TextCache:
    """
    Keeps embeddings of texts on the disk, or the last few in memory where that fails. Used by one thread at a time.

    :param home: a folder for them, which is made
    :type home: Path
    :param identity: tells the model that reads texts, and the precision, from all others
    :type identity: str
    :param embed: reads the model from its files, makes embeddings [1, tokens, D] of texts, and lets the model go
    :type embed: Callable[[list[str], StopIfCancelled], list[torch.Tensor]]
    """

    def __init__(self, home: Path, identity: str,
                 embed: 'Callable[[list[str], StopIfCancelled], list[torch.Tensor]]'):
        self._home = home
        self._identity = identity
        self._embed = embed
        #: called before the model is read; raises where it must not be
        self.check: Callable[[], None] = do_nothing
        # those that could not be written, in the order of their last use
        self._unwritten: dict[str, torch.Tensor] = {}

    def embed(self,
              *texts: str,
              stop_if_cancelled: StopIfCancelled = do_nothing) -> 'list[torch.Tensor]':
        """
        Give the embeddings of texts.

        :param texts: the texts
        :type texts: str
        :param stop_if_cancelled: called while texts are read that were never seen
        :type stop_if_cancelled: StopIfCancelled
        :return: [1, tokens, D] each, in main memory
        :rtype: list[torch.Tensor]
        """
        found = {text: self._find(text) for text in texts}
        missing = [text for text, embedding in found.items() if embedding is None]
        if missing:
            self.check()
            logger.info('Reading %d new texts', len(missing))
            made = self._embed(missing, stop_if_cancelled)
            for text, embedding in zip(missing, made, strict = True):
                found[text] = embedding
                # the next attempt, in another precision or way to compute, may make numbers
                if embedding.isfinite().all():
                    self._keep(text, embedding)
            self._remove_oldest()
        return [one for text in texts if (one := found[text]) is not None]

    def _path(self, text: str) -> Path:
        return self._home / name_file(self._identity, text)

    def _read(self, text: str) -> 'torch.Tensor | None':
        """Read an embedding; None where there is none, or a file that is not as it was written."""
        import safetensors
        import safetensors.torch
        path = self._path(text)
        try:
            content = path.read_bytes()
            checksum, content = content[:32], content[32:]
            if hashlib.sha256(content).digest() != checksum:
                raise ValueError('the checksum differs')
            embedding = safetensors.torch.load(content)['embedding']
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, safetensors.SafetensorError) as error:
            logger.warning('%s is damaged and made anew: %s', path, str(error))
            return None
        with suppress(OSError):
            os.utime(path)
        return embedding

    def _find(self, text: str) -> 'torch.Tensor | None':
        embedding = self._unwritten.pop(text, None)
        if embedding is None:
            return self._read(text)
        self._unwritten[text] = embedding
        return embedding

    def _keep(self, text: str, embedding: 'torch.Tensor') -> None:
        """Keep an embedding; a clip does not fail where the disk does."""
        try:
            self._write(text, embedding)
        except OSError as error:
            logger.warning('An embedding is kept in memory alone: %s', str(error))
            self._unwritten[text] = embedding
            if len(self._unwritten) > MOST_IN_MEMORY:
                del self._unwritten[next(iter(self._unwritten))]

    def _write(self, text: str, embedding: 'torch.Tensor') -> None:
        """Write an embedding, whole or not at all."""
        import safetensors.torch
        content = safetensors.torch.save({'embedding': embedding.contiguous()})
        self._home.mkdir(parents = True, exist_ok = True)
        path = self._path(text)
        # unlike those of tempfile, it may be read by whomever the umask lets
        unfinished = path.with_suffix(f'.{uuid.uuid4().hex}')
        try:
            unfinished.write_bytes(hashlib.sha256(content).digest() + content)
            unfinished.replace(path)
        except OSError:
            with suppress(OSError):
                unfinished.unlink()
            raise

    def _remove_oldest(self) -> None:
        """Keep the texts that were used last; files that a killed program left go in their turn."""
        with suppress(OSError):
            files = sorted(self._home.iterdir(), key = lambda file: file.stat().st_mtime)
            for file in files[:-MOST]:
                file.unlink()


def name_file(identity: str, text: str) -> str:
    """
    Name the file of a text's embedding.

    :param identity: tells the model that reads texts, and the precision, from all others
    :type identity: str
    :param text: the text
    :type text: str
    :return: its name
    :rtype: str
    """
    key = hashlib.sha256(f'{identity}\n{text}'.encode()).hexdigest()
    return f'{key}.safetensors'


def are_kept(home: Path, folder: Path, texts: tuple[str, ...]) -> bool:
    """
    Tell whether texts were read before, at any one precision.

    :param home: where embeddings are kept
    :type home: Path
    :param folder: a whole model
    :type folder: Path
    :param texts: the texts
    :type texts: tuple[str, ...]
    :return: whether all of them were
    :rtype: bool
    """
    return any(
        all((home / name_file(identify_encoder(folder, precision), text)).is_file()
            for text in texts) for precision in PRECISIONS)


def identify_encoder(folder: Path, precision: str) -> str:
    """
    Tell the model that reads texts from all others, without reading it.

    :param folder: a whole model
    :type folder: Path
    :param precision: what is computed with
    :type precision: str
    :return: the same text for the same files
    :rtype: str
    """
    files = sorted(
        file for part in ('text_encoder', 'tokenizer') for file in (folder / part).iterdir())
    facts = [(file.relative_to(folder).as_posix(), file.stat().st_size, file.stat().st_mtime_ns)
             for file in files]
    return f'{folder.resolve()} {facts} {precision} {TOKENS}'
