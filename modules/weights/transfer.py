#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
One file over HTTP, resumed where it broke off, and checked. This part is not left to huggingface_hub,
because its newer versions begin a broken file anew.

Libraries: none.
"""

import contextlib
import errno
import hashlib
import http.client
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from modules.i18n import text
from modules.weights import LocalError, WeightsError
from modules.weights.web import (
    Patience,
    TransientError,
    host_of,
    network_errors_as_sentences,
    open_url,
)

#: bytes read at once
CHUNK = 1 << 18

#: called with the bytes of the file that are here; may raise to end the transfer
OnSize = Callable[[int], None]


@dataclass(frozen = True)
class RemoteFile:
    """A file of a model, as its hub lists it."""

    #: within the model's folder, with ``/``
    path: str
    size: int
    url: str
    #: where people read about the model and accept its licence
    page: str
    #: of the content; empty where the hub does not say
    sha256: str = ''
    #: of the content as a git blob; empty where the hub does not say
    git_sha1: str = ''
    #: sent to the hub, but not to where it redirects
    secret: dict[str, str] = field(default_factory = dict, repr = False)

    @property
    def host(self) -> str:
        """Return the host it is fetched from."""
        return host_of(self.url)

    def part(self, path: Path) -> Path:
        """
        Return the unfinished file; it is named by its content, so that another hub's same file continues it.

        :param path: where the whole file will be
        :type path: Path
        :return: a file beside it
        :rtype: Path
        """
        content = self.sha256 or self.git_sha1 or str(self.size)
        return path.with_name(f'{path.name}.{content[:16]}.part')

    def is_at(self, path: Path, on_size: OnSize) -> bool:
        """
        Check whether a local file is this one.

        :param path: any path
        :type path: Path
        :param on_size: called while reading
        :type on_size: OnSize
        :return: whether length and, where known, content are right
        :rtype: bool
        """
        if not path.is_file() or path.stat().st_size != self.size:
            return False
        if not self.sha256 and not self.git_sha1:
            return True
        digest = hashlib.sha256() if self.sha256 else hashlib.sha1(usedforsecurity = False)
        if not self.sha256:
            digest.update(b'blob %d\0' % self.size)
        with path.open('rb') as file:
            while chunk := file.read(1 << 20):
                digest.update(chunk)
                on_size(self.size)
        return digest.hexdigest() == (self.sha256 or self.git_sha1)


def fetch(file: RemoteFile, path: Path, on_size: OnSize, patience: Patience) -> None:
    """
    Fetch a file, continuing what an earlier attempt left.

    :param file: the file
    :type file: RemoteFile
    :param path: where to; nothing is there until the file is whole and checked
    :type path: Path
    :param on_size: called with the bytes that are here, also while waiting
    :type on_size: OnSize
    :param patience: how long to wait
    :type patience: Patience
    :raises WeightsError: when the server does not deliver, or not this file, or the disk does not take it
    """
    part = file.part(path)
    with on_disk(path):
        part.parent.mkdir(parents = True, exist_ok = True)
        part.touch()
    idle = 0
    while (size := part.stat().st_size) < file.size:
        try:
            with network_errors_as_sentences(file.url, file.page):
                _continue(file, part, on_size, patience)
        except TransientError as error:
            idle = 0 if part.stat().st_size > size else idle + 1
            if idle >= patience.attempts:
                raise WeightsError(error.text) from None
            _wait(patience.pause * 2**idle, lambda: on_size(part.stat().st_size))
    _accept(file, part, path, on_size)


def _accept(file: RemoteFile, part: Path, path: Path, on_size: OnSize) -> None:
    if not file.is_at(part, on_size):
        part.unlink()
        raise WeightsError(text('weights.wrong_content', file = file.path, host = file.host))
    with on_disk(path):
        with part.open('rb+') as written:
            os.fsync(written.fileno())
        part.replace(path)


def _continue(file: RemoteFile, part: Path, on_size: OnSize, patience: Patience) -> None:
    """Request all that is missing."""
    start = part.stat().st_size
    ranged = {'Range': f'bytes={start}-'} if start else {}
    with open_url(file.url, {**ranged, **file.secret}, patience) as response:
        if response.status != 206:
            start = 0
        if _read_range(response) not in (None, (start, file.size)):
            raise WeightsError(text('weights.wrong_size', file = file.path, host = file.host))
        with _open_part(part, start) as output:
            while start < file.size and (chunk := response.read1(min(CHUNK, file.size - start))):
                with on_disk(part):
                    output.write(chunk)
                start += len(chunk)
                on_size(start)
    if start < file.size:
        raise TransientError(text('weights.broke_off', host = file.host))


def _open_part(part: Path, start: int) -> BinaryIO:
    """Open for writing from there on, and cut off what an earlier attempt wrote behind it."""
    with on_disk(part):
        if part.stat().st_size > start:
            os.truncate(part, start)
        output = part.open('rb+', buffering = 0)
        output.seek(start)
    return output


def _read_range(response: http.client.HTTPResponse) -> tuple[int, int] | None:
    """Return where the body begins and how long the whole file is; None where the server does not say."""
    if response.status == 206:
        numbers = response.headers.get('Content-Range', '').removeprefix('bytes ').split('/')
        try:
            return int(numbers[0].split('-')[0]), int(numbers[-1])
        except ValueError:
            return -1, -1
    return (0, response.length) if response.length is not None else None


@contextlib.contextmanager
def on_disk(path: Path) -> Iterator[None]:
    """
    Raise errors of the disk as one sentence.

    :param path: what is written
    :type path: Path
    :yield: nothing
    :ytype: None
    :raises LocalError: when the disk is full or does not let us write
    """
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise LocalError(text('weights.disk_full_now', folder = path.parent)) from None
        raise WeightsError(
            text('weights.cannot_write', path = path, reason = error.strerror or error)) from None


def _wait(seconds: float, meanwhile: Callable[[], None]) -> None:
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        meanwhile()
        time.sleep(min(0.1, left))
