# SPDX-License-Identifier: GPL-2.0
"""
What the files of a crate name of each other: enough of Rust to tell which file an
item of a path such as `crate::pci::Hiding` is in. Tests at the end of a file aside.
"""

import re
import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[2] / "selftests/host"))

from circles import SILENT, TESTS, expand  # noqa: E402

PATH = re.compile(r"\b[a-zA-Z_]\w*(?:::[a-zA-Z_]\w*)+")
USE = re.compile(r"\buse ([^;]+);")


def code(text):
    """Without tests, comments and what is between quotation marks."""
    return SILENT.sub("", TESTS.split(text)[0])


class Crates:
    """All files of crates, `files`: path and text."""

    def __init__(self, files):
        self.files = files
        self.module = {path: self.name(path) for path in files}
        self.file = {module: path for path, module in self.module.items()}
        self.passed_on = {module: {name: self.absolute(module, used, {})
                                   for used, name in self.uses(code(files[path]))}
                          for path, module in self.module.items()}

    @staticmethod
    def name(path):
        """The module that a file is: ("xen", "pci", "config")."""
        path = Path(path)
        parts = path.with_suffix("").parts[1:]
        return parts[:-1] if len(parts) > 1 and parts[-1] == parts[-2] else parts

    @staticmethod
    def uses(text):
        """The paths that are imported, each with the name that it gets."""
        return [(tuple(path), name) for tree in USE.findall(text) for path, name in expand(tree)]

    def absolute(self, module, path, names):
        """A path in `module`, in which `names` are imported, from the name of its crate on."""
        first, rest = path[0], path[1:]
        if first == "crate":
            return (module[0], *rest)
        if first == "self":
            return (*module, *rest)
        if first == "super":
            return self.absolute(module[:-1], ("self", *rest), names)
        if first in names:
            return (*names[first], *rest)
        if (*module, first) in self.file:
            return (*module, *path)
        return path

    def needs(self, path):
        """The files without which an absolute path leads nowhere."""
        module = path[:1]
        for part in path[1:]:
            if (*module, part) in self.file:
                module = (*module, part)
                yield self.file[module]
                continue
            target = self.passed_on.get(module, {}).get(part)
            if target and target != path:
                yield from self.needs(target)
            return

    def named_in(self, path, text):
        """The names in a file, of which `text` is a part, and the files that they need."""
        module, whole, text = self.module[path], code(self.files[path]), code(text)
        body = USE.sub("", text)
        paths = {"::".join(used): used for used, _ in self.uses(text)}
        paths |= {found: tuple(found.split("::")) for found in PATH.findall(body)}
        names = {name: self.absolute(module, used, {}) for used, name in self.uses(whole)}
        # Those whose "use" is not in the part, and which have to be reached all the same.
        here = {name for _, name in self.uses(text)}
        paths |= {name: names[name] for name in set(names) - here if re.search(rf"\b{name}\b", body)}
        for found, parts in paths.items():
            for needed in self.needs(self.absolute(module, parts, names)):
                yield found, needed
