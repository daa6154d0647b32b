# SPDX-License-Identifier: GPL-2.0
"""The kernel's own settings and extensions for Sphinx, with our name and our ABI files.

The environment says where the kernel's source is (srctree), as the kernel's
Makefile does.
"""

import os

HERE = os.path.dirname(os.path.abspath(__file__))
KERNEL = os.path.join(os.path.abspath(os.environ["srctree"]), "Documentation")

__file__ = os.path.join(KERNEL, "conf.py")
with open(__file__, encoding="utf-8") as source:
    exec(compile(source.read(), __file__, "exec"))

import kernel_abi  # noqa: E402, from where the kernel's settings say

kernel_abi.path = os.path.join(HERE, "ABI")

project = "PCI passthrough for a Xen PVH dom0"
author = copyright = "Xen PVH passthrough developers"
html_theme_options |= {"description": "kernel modules in Rust"}
html_title = project
html_logo = html_favicon = None
html_static_path = [os.path.join(KERNEL, "sphinx-static")]
templates_path = [os.path.join(KERNEL, "sphinx/templates")]

# These read what only the kernel's documentation has.
extensions = [name for name in extensions
              if name not in ("kernel_feat", "maintainers_include", "parser_yaml", "translations")]
source_suffix = {".rst": "restructuredtext"}
nitpicky = True
