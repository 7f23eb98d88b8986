#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
Programs of tests that start at once: one process loads what they need, and each of them is a fork of it. What a test
sees is a process of its own, with its own environment and output, that can be killed.

Libraries: none but the standard one.
"""

import atexit
import contextlib
import functools
import importlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path


class Forked:
    """
    A process, with what a test uses of :class:`subprocess.Popen`.

    :param status: where the process' number and, once it has ended, its exit code can be read
    :param stdout: what it writes
    """

    def __init__(self, status, stdout):
        self._status, self.stdout = status, stdout
        self.pid = int(status.readline())
        self.returncode = None

    def wait(self, timeout = None):
        """Its exit code; waits until it ends."""
        if self.returncode is None:
            patience = select.poll()
            patience.register(self._status, select.POLLIN)
            if not patience.poll(None if timeout is None else timeout * 1000):
                raise subprocess.TimeoutExpired('a fork', timeout)
            self.returncode = int(self._status.readline())
            self._status.close()
        return self.returncode

    def poll(self):
        """Its exit code; None while it runs."""
        try:
            return self.wait(0)
        except subprocess.TimeoutExpired:
            return None

    def send_signal(self, number):
        # as with Popen: it may end between the two, or have ended and not be told yet
        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def terminate(self):
        self.send_signal(signal.SIGTERM)

    def kill(self):
        self.send_signal(signal.SIGKILL)


def start(script, *arguments, stderr, env):
    """
    Start a program of tests.

    :param script: a file in this folder with a function ``load``, which imports what the program needs, and a function
        ``main``, which is the program
    :param arguments: of ``main``, words
    :param stderr: a file
    :param env: its environment
    :return: the process, as :class:`subprocess.Popen` would give it
    """
    if not hasattr(os, 'fork'):
        command = [sys.executable, script, *arguments]
        return subprocess.Popen(
            command, stdout = subprocess.PIPE, stderr = stderr, text = True, env = env)
    (output, written), (status, reported) = os.pipe(), os.pipe()
    line = _loaded(Path(script).stem)
    socket.send_fds(line, [json.dumps([arguments, env]).encode()],
                    [written, stderr.fileno(), reported])
    os.close(written)
    os.close(reported)
    # nothing is read ahead: what has come is what can be waited for
    return Forked(os.fdopen(status, 'rb', 0), os.fdopen(output))


@functools.cache
def _loaded(name):
    """The line to the process that has loaded all, and forks."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs:
        process = subprocess.Popen([sys.executable, __file__, name], stdin = theirs)

    def end():
        ours.close()
        process.wait()

    atexit.register(end)
    return ours


def serve(line):
    """Fork whenever that is asked for; in a fork, return what the program is given."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # whoever watches a program ends by itself
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    while True:
        words, descriptors, _flags, _address = socket.recv_fds(line, 1 << 20, 3)
        if not words:
            os._exit(0)
        assert threading.active_count() == 1
        if not os.fork():
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            line.close()
            return _become(json.loads(words), *descriptors)
        for descriptor in descriptors:
            os.close(descriptor)


def _become(words, output, errors, status):
    if program := os.fork():
        # a program's output ends with the program
        os.close(output)
        os.close(errors)
        os.write(status, b'%d\n' % program)
        _pid, code = os.waitpid(program, 0)
        os.write(status, b'%d\n' % os.waitstatus_to_exitcode(code))
        os._exit(0)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.close(status)
    for number, descriptor in enumerate((os.open(os.devnull, os.O_RDONLY), output, errors)):
        os.dup2(descriptor, number)
        os.close(descriptor)
    # the calls at which it is killed are its own
    sys.dont_write_bytecode = True
    arguments, environment = words
    os.environ.clear()
    os.environ.update(environment)
    return arguments


if __name__ == '__main__':
    sys.path[:0] = [str(Path(__file__).resolve().parents[2])]
    module = importlib.import_module(sys.argv[1])
    module.load()
    module.main(*serve(socket.socket(fileno = 0)))
