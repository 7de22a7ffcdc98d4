# SPDX-License-Identifier: GPL-3.0-or-later
"""Sphinx's configuration of the docs site. tools/docs.py puts the pages together and calls Sphinx with it."""

project = "fanout.backup"
author = "fanout.backup contributors"
title = html_title = html_short_title = "fanout.backup"

extensions = ["myst_parser", "sphinx_antsibull_ext"]
# Pages link to headings of each other, as GitHub names them.
myst_heading_anchors = 4
# Without the network: no address is asked, and no inventory of another site is fetched.
html_theme = "sphinx_rtd_theme"
html_use_smartypants = False
html_copy_source = False
html_show_sphinx = False
default_role = "any"

nitpicky = True
# What Ansible's own pages hold: they are another site.
nitpick_ignore_regex = [
    ("std:ref", r"ansible_collections\.ansible\.builtin\..*"),
    ("std:ref", "ansible_configuration_settings|common_return_values|list_of_collections"),
]
# Pygments' SQL does not know PostgreSQL's $$.
suppress_warnings = ["misc.highlighting_failure"]
