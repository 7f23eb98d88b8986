#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
The notebook as a reader runs it: cell after cell, in a kernel of its own, with forms filled in. Not a test itself.

Libraries: nbclient, nbformat, ipykernel.
"""

import base64
import copy
import json
import os
import re
from contextlib import contextmanager
from pathlib import Path

import nbclient
import nbformat

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOK = ROOT / 'turn_live_photos.ipynb'

#: stands for pip: tells what it was asked for, and does nothing
PIP = '''
import os, sys
with open(os.environ['PIP_CALLS'], 'a') as file:
    file.write(' '.join(sys.argv[1:]) + chr(10))
'''


def read():
    return nbformat.read(NOTEBOOK, as_version = 4)


def forms(source):
    """
    The form of a cell.

    :return: name → (value, what the form lets a reader choose)
    """
    found = re.findall(r'^(\w+) = (.+?)  # @param (.+)$', source, re.MULTILINE)
    return {
        name: (eval(value, {}), json.loads(re.sub(r'(\w+):', r'"\1":', choice)))  # noqa: S307
        for name, value, choice in found
    }


class Said:
    """What stands below a cell."""

    def __init__(self, outputs):
        self.outputs = outputs

    @property
    def words(self):
        return ''.join(output.text for output in self.outputs if output.output_type == 'stream')

    @property
    def error(self):
        return [output.traceback for output in self.outputs if output.output_type == 'error']

    def calls(self, name):
        """What Colab's stand-in was asked for."""
        found = [json.loads(line) for line in re.findall(r'^colab (.+)$', self.words, re.MULTILINE)]
        return [values for called, *values in found if called == name]

    def pictures(self):
        return [
            base64.b64decode(output.data['image/jpeg']) for output in self.outputs
            if 'image/jpeg' in output.get('data', {})
        ]

    def movies(self):
        return [
            base64.b64decode(movie) for output in self.outputs
            for movie in re.findall(r'src="data:video/mp4;base64,([^"]+)"',
                                    output.get('data', {}).get('text/html', ''))
        ]


class Reader:
    """Runs cells."""

    def __init__(self, client):
        self.client = client

    def run(self, name, **fields):
        """One cell, by its id, with its form filled in."""
        index = next(i for i, cell in enumerate(self.client.nb.cells) if cell.id == name)
        cell = self.client.nb.cells[index]
        for field, value in fields.items():
            cell.source, count = re.subn(
                rf'^{field} = .+?(?=  # @param)', f'{field} = {value!r}', cell.source, flags = re.M)
            assert count == 1, field
        try:
            self.client.execute_cell(cell, index)
        except nbclient.exceptions.CellExecutionError:
            assert cell.outputs[-1].output_type == 'error'
        return Said(copy.deepcopy(cell.outputs))


@contextmanager
def kernel(folder, *paths, **environment):
    """
    A kernel that runs in a folder, with an empty home, a pip that does nothing and no hub of models.

    :param folder: where it runs; ``pip.txt`` beside it tells what pip was asked for
    :param paths: where it finds modules, before all others
    :param environment: more variables
    :return: the reader
    """
    stand_in = folder.parent / 'pip'
    stand_in.mkdir()
    (stand_in / 'pip.py').write_text(PIP)
    variables = {
        **os.environ, 'HF_HUB_OFFLINE': '1',
        'HOME': str(folder.parent),
        'IPYTHONDIR': str(folder.parent / 'ipython'),
        'LC_ALL': 'C.UTF-8',
        'PYTHONPATH': os.pathsep.join(map(str, [*paths, stand_in])),
        'PIP_CALLS': str(folder.parent / 'pip.txt'),
        **environment
    }
    client = nbclient.NotebookClient(
        read(),
        timeout = 120,
        kernel_name = 'python3',
        resources = {'metadata': {
            'path': str(folder)
        }})
    with client.setup_kernel(env = variables):
        yield Reader(client)
