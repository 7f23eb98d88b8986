#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
The asynchronous API: jobs that are submitted, followed, cancelled, and whose files are fetched.

Libraries: Flask.
"""

import hashlib
import io
import json
from collections.abc import Callable, Iterator

from flask import Blueprint, Response, jsonify, request, send_file, stream_with_context

from modules import encoders, errors
from modules.clips.animator import PREVIEW, parameters_of, preview_jpeg
from modules.homes import read_no_follow
from modules.jobs.job import FINAL_STATES, Job
from modules.request import PARAMETERS
from modules.routes import generate
from modules.web.access.guards import heavy_work_slot
from modules.web.files import file_response
from modules.web.services import language, services

blueprint = Blueprint('jobs', __name__, url_prefix = '/jobs')

#: seconds after which a stream without news says that it is alive; the second one is between two looks at the client
HEARTBEAT, GLANCE = 10, 1


@blueprint.post('')
def submit() -> Response:
    """
    Accept a photo.

    :return: 202 with the job, which survives a restart of the program
    :rtype: Response
    :raises errors.Refusal: whatever stands in the way
    """
    job = generate.accept(is_awaited = False)
    response = job_response(job)
    response.status_code = 202
    response.headers['Location'] = f'{request.root_path}/jobs/{job.id}'
    return response


@blueprint.get('/<identity>')
def show(identity: str) -> Response:
    """
    Tell how a job is.

    :param identity: its id
    :type identity: str
    :return: the job
    :rtype: Response
    """
    return job_response(find(identity))


@blueprint.get('/<identity>/events')
def events(identity: str) -> Response:
    """
    Tell how a job is, at once and whenever that changes, until it has ended.

    :param identity: its id
    :type identity: str
    :return: server-sent events
    :rtype: Response
    :raises errors.TooManyStreams: when polling is the better way
    """
    job, streams = find(identity), services().streams
    if not streams.acquire(blocking = False):
        raise errors.TooManyStreams
    has_gone = request.environ.get('waitress.client_disconnected', bool)
    seen = request.headers.get('Last-Event-ID', '')
    told_so_far = stream_with_context(stream(job, language(), seen, has_gone))
    response = Response(told_so_far, mimetype = 'text/event-stream')
    response.call_on_close(streams.release)
    response.headers['Cache-Control'] = 'no-store'
    # nginx would collect events before it passes them on
    response.headers['X-Accel-Buffering'] = 'no'
    return response


@blueprint.get('/<identity>/preview')
def preview(identity: str) -> Response:
    """
    A small picture of the clip as it stands.

    :param identity: the job's id
    :type identity: str
    :return: JPEG, at most 512 pixels a side
    :rtype: Response
    :raises errors.NotFound: while there is none
    """
    job = find(identity)
    picture = job.progress.picture
    content = job.preview or (preview_jpeg(picture) if picture is not None else _kept_preview(job))
    response = send_file(io.BytesIO(content), 'image/jpeg')
    response.headers[
        'Cache-Control'] = 'private, max-age=3600' if 'v' in request.args else 'no-store'
    return response


def _kept_preview(job: Job) -> bytes:
    if job.state != 'done':
        raise errors.NotFound
    try:
        with read_no_follow(job.folder / PREVIEW) as file:
            return file.read()
    except FileNotFoundError as error:
        raise errors.NotFound from error


@blueprint.get('/<identity>/photo')
def photo(identity: str) -> Response:
    """
    The photo as it came; handed over as a file, because nobody knows what else is in it.

    :param identity: the job's id
    :type identity: str
    :return: the upload
    :rtype: Response
    """
    job = find(identity)
    if not job.upload.exists():
        raise errors.NotFound
    return file_response(
        job, job.upload, 'application/octet-stream', job.request.stem, is_attached = True)


@blueprint.get('/<identity>/result')
def result(identity: str) -> Response:
    """
    A finished clip in any format; what is not there yet is made of the kept frames.

    :param identity: the job's id
    :type identity: str
    :return: the file, or the part of it that was asked for
    :rtype: Response
    :raises errors.NotDone: while there is none
    """
    job = find(identity)
    by_name = {parameter.name: parameter for parameter in PARAMETERS}
    asked = [name for name in request.args.getlist('format') if name]
    if len(asked) > 1:
        raise errors.RepeatedField('format')
    wanted = by_name['format'].parse(asked[0] if asked else job.request.format)
    if job.state != 'done':
        raise errors.NotDone
    kind = encoders.TABLE[wanted]
    with services().store.reading(job):
        path = job.file(wanted)
        if not path.exists():
            with heavy_work_slot():
                path = services().results.file(job, wanted)
        name = kind.name(job.request.stem, job.created, job.id)
        is_attached = kind.extension.endswith('.zip') or request.args.get('download') == '1'
        return file_response(job, path, kind.mime_type, name, is_attached = is_attached)


@blueprint.post('/<identity>/cancel')
def cancel(identity: str) -> Response:
    """
    Stop a job: at once when it waits, within one step when it runs.

    :param identity: its id
    :type identity: str
    :return: the job
    :rtype: Response
    :raises errors.AlreadyEnded: when there is nothing to stop
    """
    job = find(identity)
    if job.state in ('done', 'failed'):
        raise errors.AlreadyEnded
    services().queue.cancel(job)
    return job_response(job)


@blueprint.delete('/<identity>')
def delete(identity: str) -> Response:
    """
    Cancel a job if needed, and remove all that is kept of it.

    :param identity: its id
    :type identity: str
    :return: nothing
    :rtype: Response
    """
    services().queue.remove(find(identity))
    return Response(status = 204)


def find(identity: str) -> Job:
    """
    A job by its id.

    :param identity: what stands in the path
    :type identity: str
    :return: the job
    :rtype: Job
    :raises errors.NotFound: when there is none
    """
    return services().queue.find(identity)


def job_response(job: Job) -> Response:
    """
    A job as an answer.

    :param job: the job
    :type job: Job
    :return: JSON
    :rtype: Response
    """
    response = jsonify(job_to_dict(job, language()))
    response.headers['Cache-Control'] = 'no-store'
    return response


def job_to_dict(job: Job, reader: str) -> dict:
    """
    A job as programs and the page see it.

    :param job: the job
    :type job: Job
    :param reader: the language of what is said
    :type reader: str
    :return: what JSON can hold; addresses start at the page's
    :rtype: dict
    """
    # what is done stays done, what runs may end while this is put together
    state, progress = job.state, job.progress
    is_done = state == 'done'
    picture = job.pictures if job.preview or progress.picture is not None else state if is_done else None
    return {
        'id':
        job.id,
        'state':
        state,
        'name':
        job.request.stem,
        **_place(job), 'phase':
        progress.phase if state == 'running' else None,
        'step':
        progress.step,
        'steps':
        progress.steps,
        'seed':
        job.request.seed,
        'engine':
        job.request.engine,
        'model':
        job.model,
        'version':
        job.version,
        'parameters':
        parameters_of(job.request),
        **_moments(job, state), 'error':
        _error(job.error, reader) if job.error and state in FINAL_STATES else None,
        'preview':
        picture and f'jobs/{job.id}/preview?v={picture}',
        'photo':
        f'jobs/{job.id}/photo',
        'results':
        [result_to_dict(job, name, reader) for name in encoders.TABLE] if is_done else []
    }


def _place(job: Job) -> dict[str, int | None]:
    queue = services().queue
    seconds = None if job.has_ended else queue.seconds_left(job)
    return {
        'position': queue.position(job),
        'eta_seconds': None if seconds is None else round(seconds)
    }


def _moments(job: Job, state: str) -> dict[str, str | None]:
    finished = job.finished if state in FINAL_STATES else None
    moments = {'created': job.created, 'started': job.started, 'finished': finished}
    return {name: moment and moment.isoformat() for name, moment in moments.items()}


def _error(error: errors.Refusal, reader: str) -> dict[str, str | None]:
    return {'message': error.text.in_(reader), 'code': error.code, 'field': error.field}


def result_to_dict(job: Job, format_name: str, reader: str) -> dict:
    """
    One file of a job that is done.

    :param job: the job
    :type job: Job
    :param format_name: one of :data:`modules.encoders.TABLE`
    :type format_name: str
    :param reader: the language of the note
    :type reader: str
    :return: ``format``, ``type``, ``name``, ``bytes`` (null while it is not made), ``url``, ``note`` (what was
        given up)
    :rtype: dict
    """
    kind, path, note = encoders.TABLE[format_name], job.file(format_name), job.notes.get(
        format_name)
    return {
        'format': format_name,
        'type': kind.mime_type,
        'name': kind.name(job.request.stem, job.created, job.id),
        'bytes': path.stat().st_size if path.exists() else None,
        'url': f'jobs/{job.id}/result?format={format_name}',
        'note': note and note.in_(reader)
    }


def stream(job: Job, reader: str, seen: str, has_gone: Callable[[], bool]) -> Iterator[str]:
    """
    What is sent to who follows a job.

    :param job: the job
    :type job: Job
    :param reader: the language of what is said
    :type reader: str
    :param seen: id of the last event the client has
    :type seen: str
    :param has_gone: whether the client hung up
    :type has_gone: Callable[[], bool]
    :yield: events and heartbeats
    :ytype: str
    """
    queue = services().queue
    changes = silence = 0
    yield ': \n\n'
    while not has_gone():
        is_last = job.has_ended or queue.is_closing
        now = job_to_dict(job, reader)
        # that time passes is no news
        news = json.dumps({**now, 'eta_seconds': None}).encode()
        identity = hashlib.sha256(news).hexdigest()[:16]
        if identity != seen:
            seen, silence = identity, 0
            yield f'id: {identity}\ndata: {json.dumps(now, ensure_ascii = False)}\n\n'
        if is_last:
            return
        before, changes = changes, job.wait_for_change(changes, GLANCE)
        silence += before == changes
        if silence >= HEARTBEAT:
            silence = 0
            yield ': \n\n'
