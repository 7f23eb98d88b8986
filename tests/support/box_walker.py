#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
Reads MP4 and QuickTime files box by box, from ISO/IEC 14496-12 and Apple's QuickTime File Format, without any code
of the program.

Libraries: none but the standard one.
"""

import io

PARENTS = ('moov', 'trak', 'mdia', 'minf', 'stbl', 'edts', 'tref', 'dinf', 'gmhd', 'udta', 'ilst')


class Node:
    """A box: kind, where its content begins in the file, the content, and the boxes inside."""

    def __init__(self, kind, at, content):
        self.kind = kind
        self.at = at
        self.content = content
        self.children = []
        self.is_quicktime = None
        if kind == 'meta':
            # ISO puts version and flags before the first box, QuickTime does not
            self.is_quicktime = content[4:8] == b'hdlr'
            self.children = read(content, at, 0 if self.is_quicktime else 4)
        elif kind in PARENTS:
            self.children = read(content, at)

    def all(self, path):
        first, _, rest = path.partition('/')
        found = [child for child in self.children if child.kind == first]
        return [node for child in found for node in child.all(rest)] if rest else found

    def one(self, path):
        nodes = self.all(path)
        assert len(nodes) == 1, f'{len(nodes)} boxes at {path}'
        return nodes[0]

    def numbers(self, start, count, width = 4):
        """Unsigned whole numbers, ``start`` bytes into the content."""
        part = self.content[start:start + count * width]
        assert len(part) == count * width, f'{self.kind} is too short'
        return [int.from_bytes(part[i:i + width], 'big') for i in range(0, len(part), width)]


def read(data, at = 0, start = 0):
    """The boxes of some data that lies ``at`` bytes into the file."""
    stream, nodes = io.BytesIO(data), []
    stream.seek(start)
    while head := stream.read(8):
        if head == bytes(4) and not stream.read(1):
            break
        assert len(head) == 8, 'a box breaks off in its head'
        size, name = int.from_bytes(head[:4], 'big'), head[4:]
        long = size == 1
        if long:
            size = int.from_bytes(stream.read(8), 'big')
        length = size - (16 if long else 8)
        place = stream.tell()
        content = stream.read(max(0, length))
        assert length >= 0 and len(content) == length, f'{name} claims {size} bytes'
        nodes.append(Node(name.decode('latin-1'), at + place, content))
    return nodes


def file(data):
    """A whole file as the one box that holds all others."""
    whole = Node('', 0, b'')
    whole.children = read(data)
    return whole
