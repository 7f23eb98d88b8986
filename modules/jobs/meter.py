#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
Counts what an owner wants to watch, in Prometheus's terms.

Libraries: prometheus-client, the reference implementation.
"""

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info

from modules import VERSION
from modules.jobs.job import Job

#: seconds; a frame of camera motion takes hundredths, Stable Video Diffusion minutes
BUCKETS = (0.1, 0.3, 1, 3, 10, 30, 60, 120, 300, 600, 1800)


class Meter:
    """The counters of one program."""

    def __init__(self):
        self.registry = CollectorRegistry()
        self._phases = Histogram(
            'turn_live_photos_phase_seconds',
            'Seconds a job spends in a phase', ('engine', 'phase'),
            buckets = BUCKETS,
            registry = self.registry)
        self._jobs = Counter(
            'turn_live_photos_jobs',
            'Jobs that have ended', ('engine', 'state', 'code'),
            registry = self.registry)
        self._out_of_memory = Counter(
            'turn_live_photos_out_of_memory',
            'Jobs that failed for want of memory',
            registry = self.registry)
        Info('turn_live_photos', 'The program', registry = self.registry).info({'version': VERSION})

    def watch(self, waiting: Callable[[], int], running: Callable[[], int]) -> None:
        """
        Tell the length of the line whenever somebody asks.

        :param waiting: how many jobs wait
        :type waiting: Callable[[], int]
        :param running: how many are being done
        :type running: Callable[[], int]
        """
        for name, words, number in (('waiting', 'Jobs that wait', waiting),
                                    ('running', 'Jobs that are being done', running)):
            gauge = Gauge(f'turn_live_photos_{name}', words, registry = self.registry)
            gauge.set_function(number)

    def watch_workers(self, workers: Callable[[], int]) -> None:
        """
        Tell the number of workers of the fleet whenever somebody asks.

        :param workers: how many are alive
        :type workers: Callable[[], int]
        """
        gauge = Gauge(
            'turn_live_photos_workers', 'Workers that are alive', registry = self.registry)
        gauge.set_function(workers)

    def count_phase(self, engine: str, phase: str, seconds: float) -> None:
        """
        Count a phase that a job has gone through.

        :param engine: the engine at work
        :type engine: str
        :param phase: the phase
        :type phase: str
        :param seconds: how long it took
        :type seconds: float
        """
        self._phases.labels(engine, phase).observe(seconds)

    def count_job(self, job: Job) -> None:
        """
        Count a job that has ended.

        :param job: the job, in its final state
        :type job: Job
        """
        code = job.error.code if job.error else ''
        self._jobs.labels(job.request.engine, job.state, code).inc()
        if code == 'out_of_memory':
            self._out_of_memory.inc()
