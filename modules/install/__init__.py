#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
From a bare Python to the libraries of the program.

Libraries: none here.
"""
