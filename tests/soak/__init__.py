# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs that are killed at random moments, many times over: whenever it hits them, nothing is left behind."""
