#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
GIF: its colours, its pictures, and the file.

Libraries: none here.
"""
