#!/usr/bin/env python3
# -*- coding: UTF-8 -*-
"""
What the program does when it is called from a shell: one module for each command.

Libraries: none here.
"""
