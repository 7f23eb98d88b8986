#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
Kills the program at every system call that changes the disk, from a job's acceptance to its end, and at random under
load; starts it again each time and checks that nothing was lost, half served or left over. Stops at the first fault.

    python bench/crashes.py [JOBS]

JOBS (1000) are submitted while it is killed at random.

Libraries: those of the tests; the program strace.
"""

import random
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / 'tests' / 'support')]

import crashing  # noqa: E402

if __name__ == '__main__':
    jobs = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    print('phase      call        kills')
    for phase in (crashing.killed_while_accepting, crashing.killed_while_working):
        for call in crashing.CALLS:
            name = phase.__name__.removeprefix('killed_while_')
            kills = crashing.walk(phase, (call, )).get(call, 0)
            print(f'{name:10} {call:11} {kills:5}', flush = True)
    with tempfile.TemporaryDirectory() as folder:
        began = time.monotonic()
        kills, given_up = crashing.storm(Path(folder) / 'home', jobs, random.Random(1))
        print(
            f'{jobs} jobs, killed {kills} times at random: {given_up} given up, all others their own picture '
            f'({time.monotonic() - began:.0f} s)')
