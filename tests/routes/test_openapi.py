#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
The description of the API is one, tells of every call, and schemathesis finds the program to be as described.

Libraries: openapi-spec-validator, Pillow, pytest, schemathesis.
"""

import io
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import program
import pytest
from PIL import Image

from app import create_app
from modules import encoders
from modules.configuration import Configuration
from modules.request.parameters import PARAMETERS
from modules.routes import openapi

INI = (
    '[ModelOptions]\nEngine = camera\nSeconds = 1\nOutputFPS = 2\nImagePromptWidth = 64\nImagePromptHeight = 64\n'
    '[QueueOptions]\nMaxWaiting = 1000\nMaxWaitingPerClient = 0\n')


def test_the_description_is_openapi():
    validator = pytest.importorskip('openapi_spec_validator')
    validator.validate(openapi.document())


def test_every_call_is_described_and_no_other(tmp_path):
    app = create_app(Configuration(), tmp_path / 'home')
    try:
        served = {(re.sub(r'<(\w+:)?\w+>', '{id}', rule.rule), method.lower())
                  for rule in app.url_map.iter_rules()
                  for method in rule.methods - {'HEAD', 'OPTIONS'} if rule.endpoint != 'static'}
    finally:
        app.extensions['services'].close()
    found = {(path, method)
             for path, calls in openapi.document()['paths'].items()
             for method in calls if method != 'parameters'}
    assert found == served


def test_every_field_and_format_is_told_with_its_range():
    form = openapi.document()['paths']['/jobs']['post']['requestBody']
    fields = form['content']['multipart/form-data']['schema']['properties']
    for parameter in PARAMETERS:
        for name in (parameter.name, *parameter.aliases):
            found = fields[name]
            assert found.get('enum', []) == list(parameter.choices)
            assert (found.get('minimum'), found.get('maximum')) == (parameter.minimum,
                                                                    parameter.maximum)
    result = openapi.document()['paths']['/jobs/{id}/result']['get']['responses']['200']
    assert set(result['content']) == {kind.mime_type for kind in encoders.TABLE.values()}


@pytest.fixture(scope = 'module')
def port(tmp_path_factory):
    with program.started(tmp_path_factory.mktemp('described'), INI) as (_process, port):
        program.ready(port)
        yield port


def test_the_program_hands_out_its_description(port):
    answer = program.call(port, 'GET', '/openapi.json')
    assert answer.json == openapi.document()


#: what the contract asks for: a reason not to serve now is a 503, and a wrong method of the one-call API a 400
RULES = '''
[checks]
not_a_server_error.expected-statuses = ["2xx", "3xx", "4xx", "503"]
# motion_bucket_id and its other name may not both be given
positive_data_acceptance.enabled = false

[[operations]]
include-path = "/generate"
checks.unsupported_method.enabled = false
'''

HOOKS = '''
import io
import os
import schemathesis
from hypothesis import strategies
from PIL import Image

def picture(colour):
    content = io.BytesIO()
    Image.new('RGB', (16, 12), colour).save(content, 'PNG')
    return content.getvalue()

schemathesis.openapi.format('binary', strategies.sampled_from([picture('red'), picture('blue')]))

@schemathesis.hook
def map_path_parameters(context, path_parameters):
    # a job that is there, unless it would not be there any more
    if path_parameters and 'id' in path_parameters and context.operation.method != 'delete':
        return {**path_parameters, 'id': os.environ['JOB']}
    return path_parameters
'''


def test_schemathesis_finds_nothing(port, tmp_path):
    tool = shutil.which('schemathesis') or shutil.which(
        str(Path(sys.executable).with_name('schemathesis')))
    if not tool:
        pytest.skip('schemathesis is not installed')
    (tmp_path / 'hooks.py').write_text(HOOKS)
    (tmp_path / 'schemathesis.toml').write_text(RULES)
    command = [
        tool, 'run', f'http://127.0.0.1:{port}/openapi.json', '--phases', 'coverage,fuzzing',
        '--max-examples', '15', '--generation-deterministic', '--suppress-health-check', 'all',
        '--no-color'
    ]
    done = subprocess.run(
        command,
        cwd = tmp_path,
        capture_output = True,
        text = True,
        check = False,
        timeout = 280,
        env = {
            **os.environ, 'SCHEMATHESIS_HOOKS': 'hooks',
            'PYTHONPATH': str(tmp_path),
            'JOB': job(port)['id'],
            'no_proxy': '*'
        })
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]


def test_a_job_is_as_described(port):
    validator = pytest.importorskip('jsonschema')
    parts = openapi.document()['components']
    validator.validate(job(port), {'$ref': '#/components/schemas/Job', 'components': parts})
    error = program.call(port, 'GET', '/jobs/0').json
    validator.validate(error, {'$ref': '#/components/schemas/Error', 'components': parts})


def job(port):
    """A job that is done."""
    content = io.BytesIO()
    Image.new('RGB', (64, 48)).save(content, 'PNG')
    made = program.generate(port, content.getvalue())
    return program.call(port, 'GET', f'/jobs/{made.headers["X-Job-Id"]}').json
