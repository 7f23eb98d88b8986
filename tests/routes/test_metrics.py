#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
What ``/metrics`` tells, read by Prometheus's own parser.

Libraries: Pillow, prometheus-client, pytest.
"""

import io

import program
import pytest
import stand_ins
from PIL import Image
from program import until
from prometheus_client.parser import text_string_to_metric_families

from app import create_app
from modules import VERSION
from modules.configuration import Configuration, WebOptions
from modules.engines.registry import Engines


@pytest.fixture
def serve(tmp_path):
    """Engine's class name → a context manager that gives the port."""

    def serve(engine):
        options = Configuration(web = WebOptions(port = 0))
        engines = Engines(options, stand_ins.table(camera = engine))
        return program.served(create_app(options, tmp_path, engines = engines), options.web)

    return serve


def photo():
    content = io.BytesIO()
    Image.new('RGB', (64, 48)).save(content, 'JPEG')
    return content.getvalue()


def scraped(port):
    """(name, labels) → value."""
    answer = program.call(port, 'GET', '/metrics')
    assert answer.status == 200
    assert answer.headers['Content-Type'].startswith('text/plain')
    families = text_string_to_metric_families(answer.body.decode())
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in families
        for sample in family.samples
    }


def value(port, name, **labels):
    return scraped(port).get((f'turn_live_photos_{name}', frozenset(labels.items())), 0)


def submitted(port):
    body, headers = program.form([], [('file', 'grandmother.jpg', photo())])
    return program.call(port, 'POST', '/jobs', body, headers).json['id']


def test_a_job_that_is_done_counts_with_its_phases(serve):
    with serve('Instant') as port:
        assert value(port, 'jobs_total', engine = 'camera', state = 'done', code = '') == 0
        assert program.generate(port, photo()).status == 200
        assert program.generate(port, photo()).status == 200
        assert value(port, 'jobs_total', engine = 'camera', state = 'done', code = '') == 2
        for phase in ('loading', 'step', 'writing'):
            assert value(port, 'phase_seconds_count', engine = 'camera', phase = phase) == 2
            assert 0 <= value(port, 'phase_seconds_sum', engine = 'camera', phase = phase) < 60
        assert value(port, 'info', version = VERSION) == 1


@pytest.mark.parametrize(('engine', 'code', 'out_of_memory'), [
    ('Failing', 'engine_failed', 0),
    ('OutOfMemory', 'out_of_memory', 1),
])
def test_a_job_that_fails_counts_with_its_reason(serve, engine, code, out_of_memory):
    with serve(engine) as port:
        program.generate(port, photo())
        assert value(port, 'jobs_total', engine = 'camera', state = 'failed', code = code) == 1
        assert value(port, 'out_of_memory_total') == out_of_memory


def test_the_line_is_as_long_as_it_is(serve):
    stand_ins.Held.go.clear()
    with serve('Held') as port:
        program.ready(port)
        first, second = submitted(port), submitted(port)
        until(lambda: value(port, 'running') == 1)
        assert value(port, 'waiting') == 1
        program.call(port, 'POST', f'/jobs/{second}/cancel')
        assert value(port, 'waiting') == 0
        program.call(port, 'POST', f'/jobs/{first}/cancel')
        until(lambda: value(port, 'running') == 0)
        assert value(port, 'jobs_total', engine = 'camera', state = 'cancelled', code = '') == 2


def test_nothing_tells_of_a_single_photo(serve):
    with serve('Instant') as port:
        identity = submitted(port)
        until(lambda: value(port, 'jobs_total', engine = 'camera', state = 'done', code = ''))
        answer = program.call(port, 'GET', '/metrics').body.decode()
        assert identity not in answer
        assert 'grandmother' not in answer


def test_two_apps_count_each_for_itself(serve, tmp_path):
    with serve('Instant') as one:
        options = Configuration(web = WebOptions(port = 0))
        engines = Engines(options, stand_ins.table(camera = 'Instant'))
        app = create_app(options, tmp_path / 'other', engines = engines)
        with program.served(app, options.web) as other:
            program.generate(one, photo())
            assert value(other, 'jobs_total', engine = 'camera', state = 'done', code = '') == 0
