#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
Clips for others than the browser that made them: the page of one clip, its link for a phone, and many as a ZIP.

Libraries: Flask.
"""

import contextlib
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from flask import Blueprint, Response, jsonify, render_template, request

from modules import encoders, errors, i18n
from modules.encoders import to_local_time
from modules.homes import read_no_follow
from modules.jobs.job import Job, link_id
from modules.routes.jobs import find, parse_format, send_preview, send_result
from modules.web import links
from modules.web.access.guards import heavy_work_slot
from modules.web.job_view import clip_to_dict
from modules.web.services import language, services

blueprint = Blueprint('clips', __name__)

#: clips of one ZIP; a browser remembers no more
MOST_CLIPS = 50

#: bytes read at once
CHUNK = 1 << 18


@blueprint.get('/clip-<link>')
def show(link: str) -> Response:
    """
    Render the page of one clip, for whoever has its link; it grants nothing but to see and to save this clip.

    :param link: the link's id
    :type link: str
    :return: HTML
    :rtype: Response
    """
    reader = language()
    page = render_template(
        'clip.html',
        language = reader,
        words = i18n.words(reader),
        clip = clip_to_dict(find_by_link(link), reader))
    response = Response(page, mimetype = 'text/html')
    response.headers['Cache-Control'] = 'no-store'
    response.headers['X-Robots-Tag'] = 'noindex'
    return response


@blueprint.get('/clip-<link>/preview')
def preview(link: str) -> Response:
    """
    Send the small picture of a clip.

    :param link: the link's id
    :type link: str
    :return: JPEG
    :rtype: Response
    """
    return send_preview(find_by_link(link))


@blueprint.get('/clip-<link>/result')
def result(link: str) -> Response:
    """
    Send a clip in any format.

    :param link: the link's id
    :type link: str
    :return: the file, or the part of it that was asked for
    :rtype: Response
    """
    return send_result(find_by_link(link))


def find_by_link(link: str) -> Job:
    """
    Find the job whose clip a link leads to.

    :param link: the link's id
    :type link: str
    :return: a job that is done
    :rtype: Job
    :raises errors.NotFound: when there is none
    :raises errors.Refusal: while that cannot be known
    """
    job = services().queue.find_by_link(link)
    if not job or job.state != 'done':
        raise services().store.problem() or errors.NotFound
    return job


@blueprint.get('/jobs/<identity>/link')
def tell_link(identity: str) -> Response:
    """
    Tell the address under which a phone finds the page of a clip.

    :param identity: the job's id
    :type identity: str
    :return: ``url``, ``qr`` (a picture as a ``data:`` address) and ``hint`` (what to do or to know), each null where
        there is none
    :rtype: Response
    :raises errors.NotDone: while there is no clip
    """
    job, web = find(identity), services().configuration.web
    if job.state != 'done':
        raise errors.NotDone
    base, hint = links.find_base(request, web)
    url = f'{base}clip-{link_id(job.id)}' if base else None
    if url and web.password:
        hint = 'phone.password'
    response = jsonify({
        'url': url,
        'qr': url and links.make_code(url),
        'hint': i18n.text(hint).in_(language()) if hint else None
    })
    response.headers['Cache-Control'] = 'no-store'
    return response


@blueprint.get('/clips.zip')
def archive() -> Response:
    """
    Send several finished clips as one ZIP, as it is written.

    :return: the ZIP
    :rtype: Response
    :raises errors.Refusal: when one of them cannot be had
    """
    wanted = parse_format() or 'mp4'
    identities = list(dict.fromkeys(request.args.getlist('id')))
    if not 0 < len(identities) <= MOST_CLIPS:
        raise errors.BadRequest('id')
    jobs = [find(identity) for identity in identities]
    if any(job.state != 'done' for job in jobs):
        raise errors.NotDone
    names = unique_names(encoders.TABLE[wanted].name(job.request.stem, job.created, job.id)
                         for job in jobs)
    with contextlib.ExitStack() as lease:
        files = []
        for name, job in zip(names, jobs, strict = True):
            lease.enter_context(services().store.readers.reading(job))
            with heavy_work_slot():
                files.append((name, job, services().results.file(job, wanted)))
        if not services().streams.acquire(blocking = False):
            raise errors.TooManyStreams
        lease.callback(services().streams.release)
        response = Response(zip_parts(files), mimetype = 'application/zip')
        response.call_on_close(lease.pop_all().close)
    response.headers[
        'Content-Disposition'] = f'attachment; filename=turn-live-photos-{len(jobs)}.zip'
    response.headers['Cache-Control'] = 'no-store'
    return response


def unique_names(names: Iterable[str]) -> list[str]:
    """
    Number the names that come more than once.

    :param names: of files
    :type names: Iterable[str]
    :return: as many, all different, also where capitals do not count
    :rtype: list[str]
    """
    found: dict[str, str] = {}
    for name in names:
        stem, dot, ending = name.partition('.')
        number, tried = 1, name
        while tried.casefold() in found:
            number += 1
            tried = f'{stem} ({number}){dot}{ending}'
        found[tried.casefold()] = tried
    return list(found.values())


class _Parts:
    """A file that cannot be rewound: what is written is taken away at once."""

    def __init__(self) -> None:
        self.written: list[bytes] = []

    def write(self, content: bytes) -> int:
        """
        Keep some bytes.

        :param content: the bytes
        :type content: bytes
        :return: how many they are
        :rtype: int
        """
        self.written.append(bytes(content))
        return len(content)

    def flush(self) -> None:
        """Do nothing: all is there at once."""

    def take(self) -> bytes:
        """
        Return what was written, once.

        :return: bytes of the file
        :rtype: bytes
        """
        content = b''.join(self.written)
        self.written.clear()
        return content


def zip_parts(files: Iterable[tuple[str, Job, Path]]) -> Iterator[bytes]:
    """
    Write a ZIP piece by piece; pictures and videos are stored as they are, for they do not become smaller.

    :param files: name in the ZIP, job, file
    :type files: Iterable[tuple[str, Job, Path]]
    :yield: its bytes
    :ytype: bytes
    """
    parts = _Parts()
    with zipfile.ZipFile(
            parts, 'w',
            zipfile.ZIP_STORED) as bundle:  # type: ignore[call-overload]  # needs only write
        for name, job, path in files:
            entry = zipfile.ZipInfo(name, to_local_time(job.created).timetuple()[:6])
            with read_no_follow(path) as file, bundle.open(entry, 'w') as member:
                while content := file.read(CHUNK):
                    member.write(content)
                    yield parts.take()
    yield parts.take()
