#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
Parts of files that several formats are made of.

Libraries: none here.
"""
