#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
Many machines, one queue: real processes and a real Redis, that are killed.

Libraries: pytest.
"""

import random
import shutil
import signal
import threading
import time
from dataclasses import replace

import fleet
import program
import pytest
from crashing import COLOUR, colour_of, is_like, photo, picture, submitted
from program import until

from modules import errors
from modules.commands import doctor
from modules.configuration import Configuration, ModelOptions, OutputOptions, QueueOptions
from modules.engines.contract import DepthUse
from modules.engines.wan.options import WanOptions
from modules.jobs import lifecycle
from modules.jobs.fleet.agreement import FleetEngines, common, differences, queue_name
from modules.jobs.fleet.broker import MessageReceiver
from modules.jobs.fleet.ledger import Ledger
from modules.jobs.fleet.live import LiveJobs
from modules.jobs.fleet.records import MOST_BYTES
from modules.jobs.fleet.task import Task
from modules.jobs.job import Job, link_id, new_id
from modules.jobs.store import Store
from modules.progress import do_nothing
from modules.request import parse_request

LIMITS = QueueOptions(max_waiting = 16, max_waiting_per_client = 0)

pytestmark = pytest.mark.skipif(not shutil.which('redis-server'), reason = 'needs redis-server')


@pytest.fixture
def members(tmp_path):
    """Redis, and a fleet without any member yet."""
    with fleet.fleet(tmp_path) as (redis, members):
        members.redis = redis
        yield members


@pytest.fixture
def ledger(members):
    ledger = Ledger(members.url)
    yield ledger
    ledger.close()


def until_running(port, identity):
    until(lambda: fleet.fetch_job(port, identity)['state'] == 'running')


def a_job(folder, name = 'photo'):
    identity = new_id()
    upload = folder / identity / 'upload'
    upload.parent.mkdir(parents = True)
    upload.write_bytes(photo())
    return Job(identity, upload.parent, parse_request([], upload, name, 'camera'))


def test_any_web_process_answers_for_any_job(members, ledger, tmp_path):
    (one, _), (other, _) = members.web('a'), members.web('b')
    members.worker()
    program.ready(one)
    identity = submitted(one)
    assert fleet.fetch_job(other, identity)['id'] == identity
    for port in (other, one):
        assert is_like(picture(port, identity), COLOUR)
        assert program.call(port, 'GET', f'/jobs/{identity}/photo').body == photo()
        # made of the frames that the worker sent
        assert program.call(port, 'GET', f'/jobs/{identity}/result?format=mp4').status == 200
    for port in (other, one):
        assert program.call(port, 'GET', f'/clip-{link_id(identity)}/result').status == 200
    # one that has fetched nothing so far finds it too
    third = LiveJobs(ledger, Store(tmp_path / 'third'), do_nothing)
    third.store.open()
    assert third.find_by_link(link_id(identity)).state == 'done'
    assert third.find_by_link(link_id('0' * 32)) is None
    assert program.call(one, 'DELETE', f'/jobs/{identity}').status == 204
    for path in (f'/jobs/{identity}', f'/clip-{link_id(identity)}'):
        until(lambda path = path: program.call(other, 'GET', path).status == 404)


def test_what_has_ended_rests_in_the_store_and_outlives_redis(members):
    port, _ = members.web('a')
    members.worker()
    program.ready(port)
    identity = submitted(port)
    assert is_like(picture(port, identity), COLOUR)
    members.redis.stop()
    assert is_like(picture(port, identity), COLOUR)
    members.redis.start()


def test_progress_preview_and_cancel_travel(members):
    port, _ = members.web('a')
    members.worker(engine = 'Slow')
    program.ready(port)
    identity = submitted(port)
    until(lambda: fleet.fetch_job(port, identity)['preview'])
    job = fleet.fetch_job(port, identity)
    assert job['steps'] == 20
    assert 0 < job['step'] <= 20
    assert program.call(port, 'GET', f'/jobs/{identity}/preview').body[:2] == b'\xff\xd8'
    following = submitted(port)
    assert fleet.fetch_job(port, following)['position'] == 1
    for each in (following, identity):
        program.call(port, 'POST', f'/jobs/{each}/cancel')
        until(lambda each = each: fleet.fetch_job(port, each)['state'] == 'cancelled')


def test_a_killed_workers_job_is_finished_by_another(members):
    port, _ = members.web('a')
    first = members.worker(seconds = 60)
    program.ready(port)
    identity = submitted(port)
    until_running(port, identity)
    members.worker()
    first.kill()
    assert is_like(picture(port, identity), COLOUR)


def test_a_job_that_kills_three_workers_is_given_up(members):
    port, _ = members.web('a')
    first = members.worker(seconds = 60)
    program.ready(port)
    identity = submitted(port)
    until_running(port, identity)
    first.kill()
    ledger = Ledger(members.url)
    for attempt in (b'2', b'3'):
        victim = members.worker(seconds = 60)
        # it has it when Redis hands it out again
        until(lambda attempt = attempt: ledger.client.hget(f'tlp:job:{identity}', 'attempt') ==
              attempt)
        victim.kill()
    members.worker()
    until(lambda: fleet.fetch_job(port, identity)['state'] == 'failed')
    assert fleet.fetch_job(port, identity)['error']['code'] == 'crashed'


def test_a_worker_that_is_ended_hands_its_job_back_at_once(members, ledger):
    port, _ = members.web('a')
    first = members.worker(seconds = 60)
    program.ready(port)
    identity = submitted(port)
    until_running(port, identity)
    first.send_signal(signal.SIGTERM)
    assert first.wait(20) == 0
    assert fleet.fetch_job(port, identity)['state'] == 'queued'
    assert ledger.members.known() == {}
    members.worker()
    assert is_like(picture(port, identity), COLOUR)


def test_a_long_job_of_a_live_worker_is_not_taken_from_it(members, ledger):
    port, _ = members.web('a')
    members.worker(seconds = 4 * fleet.HEARTBEAT)
    members.worker(seconds = 0)
    program.ready(port)
    jobs = [submitted(port), submitted(port)]
    for identity in jobs:
        assert is_like(picture(port, identity), COLOUR)
        assert ledger.client.hget(f'tlp:job:{identity}', 'attempt') == b'1'


def test_a_broker_that_is_away_is_a_refusal_with_a_reason_and_heals(members):
    port, _ = members.web('a')
    members.worker()
    program.ready(port)
    waiting = submitted(port)
    members.redis.stop()
    body, headers = program.form([], [('file', 'a.png', photo())])
    answer = program.call(port, 'POST', '/jobs', body, headers)
    assert (answer.status, answer.json['code']) == (503, 'broker_away')
    assert int(answer.headers['Retry-After']) > 0
    until(lambda: program.call(port, 'GET', '/health').json['status'] == 'FAILED')
    assert program.call(port, 'GET', '/health').status == 503
    members.redis.start()
    program.ready(port, 60)
    assert is_like(picture(port, waiting), COLOUR)
    assert is_like(picture(port, submitted(port)), COLOUR)


def test_a_worker_with_other_settings_is_given_nothing_and_says_so(members, ledger):
    port, _ = members.web('a')
    members.worker(frames = 3)
    until(lambda: ledger.members.known())
    answer = program.generate(port, photo())
    assert (answer.status, answer.json['code']) == (503, 'engine_unavailable')
    log = members.folder / 'log'
    until(lambda: 'OutputFrames 3 ≠ 2' in log.read_text())
    assert program.call(port, 'GET', '/health').json['status'] == 'STARTING'
    members.worker(frames = 2)
    program.ready(port)
    assert is_like(picture(port, submitted(port)), COLOUR)


def test_doctor_and_metrics_show_the_fleet(members, ledger):
    port, _ = members.web('a')
    # as the web process is set
    configuration = fleet.options_of(members.url, 2)

    def shown():
        return '\n'.join(f'{label} {value}' for label, value in doctor.fleet(configuration, 'en'))

    assert 'worker none' in shown()
    assert b'turn_live_photos_workers 0.0' in program.call(port, 'GET', '/metrics').body
    members.worker()
    members.worker(frames = 3)
    until(lambda: len(ledger.members.known()) == 2)
    assert shown().count('differs in') == 1 and 'OutputFrames' in shown()
    assert b'turn_live_photos_workers 2.0' in program.call(port, 'GET', '/metrics').body
    members.redis.stop()
    assert 'Broker' in shown() and '0 + 0' not in shown()


def test_what_tells_the_workers_near_from_far_is_told_by_the_web_side(members, ledger):
    configuration = fleet.options_of(members.url, 2)
    engines = FleetEngines(configuration, ledger)
    assert engines.status('camera').depth == DepthUse()
    assert engines.status('svd').depth is None
    members.worker(engine = 'camera')
    until(ledger.members.known)
    assert next(iter(ledger.members.known().values()))['depth'] == {'camera': None}
    facts = {'engines': ['camera'], 'devices': 1, 'depth': {'camera': 'a model'}}
    ledger.members.enrol('other', {**facts, 'shared': common(fleet.options_of(members.url, 3))})
    assert FleetEngines(configuration, ledger).status('camera').depth.model is None
    ledger.members.enrol('another', {**facts, 'shared': common(configuration)})
    assert FleetEngines(configuration, ledger).status('camera').depth.model == 'a model'
    slow = {**facts, 'engines': ['wan', 'camera'], 'slow': ['wan'], 'shared': common(configuration)}
    ledger.members.enrol('small', slow)
    assert FleetEngines(configuration, ledger).choose('auto') == 'camera'
    assert FleetEngines(configuration, ledger).choose('wan') == 'wan'
    ledger.members.enrol('large', {**slow, 'slow': []})
    # the small one would take such a job as well
    assert FleetEngines(configuration, ledger).choose('auto') == 'camera'
    ledger.members.dismiss('small')
    assert FleetEngines(configuration, ledger).choose('auto') == 'wan'
    ledger.members.dismiss('large')
    assert FleetEngines(configuration, ledger).status('wan').slow is None


def test_what_makes_another_clip_makes_another_queue():
    plain = Configuration()
    others = [
        Configuration(model = ModelOptions(output_frames = 14)),
        Configuration(model = ModelOptions(model_name = 'an/other')),
        Configuration(output = OutputOptions(gif_max_bytes = 1)),
        *(Configuration(engines = (replace(own, model_name = 'an/other'), ))
          for own in plain.engines),
    ]
    names = {queue_name('camera', common(each)) for each in (plain, *others)}
    assert len(names) == 5
    assert queue_name('svd', common(plain)) not in names
    same = Configuration(model = ModelOptions(device = 'cuda:1', engine = 'camera'))
    assert common(same) == common(plain)
    assert 'version' in differences(common(plain), {**common(plain), 'version': '0'})


def test_files_for_few_steps_lie_where_each_machine_has_them():

    def named(*lora):
        return common(Configuration(engines = (WanOptions(lora = lora), )))

    here = named('/home/a/lora/high.safetensors', '/home/a/lora/low.safetensors')
    assert named('D:\\lora\\high.safetensors', 'D:\\lora\\low.safetensors') == here
    assert named('/home/a/lora/high.safetensors', '/home/a/lora/other.safetensors') != here
    assert named() != here


def test_only_the_attempt_that_began_last_delivers(ledger, tmp_path):
    job = a_job(tmp_path)
    assert ledger.line.submit(job, 'queue', LIMITS) == b'ok'
    lifecycle.begin(job)
    first, second = (Task(ledger, threading.Event(), job, attempt) for attempt in (1, 2))
    assert first.begin() and not first.begin() and first.is_wanted()
    assert second.begin() and second.is_wanted() and not first.is_wanted()
    lifecycle.end(job, 'done')
    first.deliver({'clip.gif': b'the first'})
    found, _fields = ledger.jobs.find(job.id, job.folder)
    assert found.state == 'running'
    second.deliver({'clip.gif': b'the second'})
    second.deliver({})
    found, fields = ledger.jobs.find(job.id, job.folder)
    assert found.state == 'done'
    assert ledger.jobs.files(job.id, fields['files'], ['clip.gif']) == {'clip.gif': b'the second'}


def test_a_message_that_was_lost_on_its_way_is_delivered_to_the_next_name(ledger, tmp_path):
    job = a_job(tmp_path)
    ledger.line.submit(job, 'queue', LIMITS)
    lost, following = (MessageReceiver(ledger.client, ['queue'], 0.5) for _ in range(2))
    assert lost.next() == job.id
    found = []

    def is_found():
        following.send_heartbeat(looks_after_dead = True)
        found.append(following.next())
        return found[-1] == job.id

    until(is_found)


def test_a_photo_larger_than_redis_is_to_hold_is_refused(ledger, tmp_path):
    job = a_job(tmp_path)
    with job.upload.open('wb') as upload:
        upload.truncate(MOST_BYTES + 1)
    with pytest.raises(errors.UploadTooLarge):
        ledger.line.submit(job, 'queue', LIMITS)
    assert ledger.jobs.find(job.id, job.folder) is None


def test_a_job_that_was_submitted_in_part_is_none_and_goes_by_itself(ledger, tmp_path):
    job = a_job(tmp_path)
    ledger.line.submit(job, 'queue', LIMITS)
    assert ledger.client.ttl(f'tlp:job:{job.id}') == -1
    part = a_job(tmp_path)
    ledger.client.set(f'tlp:photo:{part.id}', b'', ex = 600)
    ledger.connection.run_script('submit', part.id, 'record', 'queue', '', 16, 0)
    assert 0 < ledger.client.ttl(f'tlp:job:{part.id}') <= 600
    assert ledger.line.position(part.id) is None
    assert ledger.line.counts() == (1, 0)


@pytest.mark.parametrize(('most', 'most_per_client', 'answer'), [
    (2, 0, b'full'),
    (9, 2, b'many'),
    (9, 3, b'ok'),
])
def test_the_line_is_limited_for_all_and_for_each(ledger, tmp_path, most, most_per_client, answer):
    for number in range(3):
        job = a_job(tmp_path)
        job.client = 'somebody'
        limits = QueueOptions(max_waiting = most, max_waiting_per_client = most_per_client)
        found = ledger.line.submit(job, 'queue', limits)
        assert found == (answer if number == 2 else b'ok')
    for_one = QueueOptions(max_waiting = 99, max_waiting_per_client = most_per_client)
    assert ledger.line.check_room('', for_one) == b'ok'


def submit_all(ports, count, accepted, chance):
    """Submit so many photos, each of its own colour, whatever is away for a while."""
    for number in range(count):
        while number not in accepted:
            if identity := submitted(chance.choice(ports), colour_of(number)):
                accepted[number] = identity
            else:
                time.sleep(0.1)


def test_sixty_jobs_while_workers_are_killed_and_redis_is_restarted(members, ledger):
    chance, accepted = random.Random(8), {}
    ports = [members.web(name)[0] for name in ('a', 'b')]
    workers = [members.worker() for _ in range(3)]
    for port in ports:
        program.ready(port)
    people = threading.Thread(target = submit_all, args = (ports, 60, accepted, random.Random(9)))
    people.start()
    for number in range(5):
        until(lambda number = number: len(accepted) >= 10 * number)
        time.sleep(chance.uniform(0, 1))
        if number == 2:
            members.redis.stop()
            members.redis.start()
        victim = chance.randrange(3)
        workers[victim].kill()
        workers[victim] = members.worker()
    people.join()
    given_up = 0
    for number, identity in accepted.items():
        until(lambda identity = identity: fleet.fetch_job(ports[0], identity).get('finished'), 120)
        job = fleet.fetch_job(ports[0], identity)
        if job['error']:
            # it happened to be at work at three of the kills: told, not lost
            assert job['error']['code'] == 'crashed'
            given_up += 1
            continue
        for port in ports:
            assert is_like(picture(port, identity), colour_of(number)), number
    assert given_up <= 2
    assert len(set(accepted.values())) == 60
    until(lambda: ledger.line.counts() == (0, 0))
