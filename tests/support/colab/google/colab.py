#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
Stands in for what Google Colab offers its notebooks, with a Chinese browser: tells what it was asked for, and answers
as the environment says.

Libraries: none but the standard one.
"""

import json
import os
import shutil
from pathlib import Path

#: begins a line that tells of a call
CALL = 'colab '


def tell(name, *values):
    print(CALL + json.dumps([name, *map(str, values)]))  # noqa: T201


class output:  # noqa: N801

    @staticmethod
    def eval_js(script, ignore_result = False, timeout_sec = None):
        assert script == 'navigator.language'
        return 'zh-CN'

    @staticmethod
    def serve_kernel_port_as_iframe(port, path = '/', width = '100%', height = '400'):
        tell('iframe', port)

    @staticmethod
    def serve_kernel_port_as_window(port, path = '/', anchor_text = None, skip_warning = False):
        tell('window', port)


class files:  # noqa: N801

    @staticmethod
    def upload(target_dir = ''):
        """What lies in the folder that COLAB_UPLOAD names; nothing, as when the reader cancels, without one."""
        given = os.environ.get('COLAB_UPLOAD')
        Path(target_dir).mkdir(parents = True, exist_ok = True)
        taken = [
            Path(shutil.copy(path, target_dir)) for path in (Path(given).iterdir() if given else ())
        ]
        return {str(path): path.read_bytes() for path in taken}

    @staticmethod
    def download(filename):
        tell('download', filename)


class drive:  # noqa: N801

    @staticmethod
    def mount(mountpoint):
        tell('mount', mountpoint)
        (Path(mountpoint) / 'MyDrive').mkdir(parents = True)


class userdata:  # noqa: N801

    class SecretNotFoundError(Exception):
        pass

    class NotebookAccessError(Exception):
        pass

    class TimeoutException(Exception):
        pass

    @classmethod
    def get(cls, key):
        """A secret, from COLAB_SECRETS; ``-`` is one that this notebook may not read."""
        secrets = json.loads(os.environ.get('COLAB_SECRETS', '{}'))
        if key not in secrets:
            raise cls.SecretNotFoundError(key)
        if secrets[key] == '-':
            raise cls.NotebookAccessError(key)
        return secrets[key]
