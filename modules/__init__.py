#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""The rooms of turn-live-photos; a photo walks through them in one direction."""

VERSION = '0.6.2'
