#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Whether files of a Rust crate name each other in a circle. Prints KTAP.

An arrow is a path in one file, in `use` or elsewhere, to something in another; a
name that is only handed on (`pub use`) counts as that of the file which defines it.
Unit tests may name anything, and all files what the crate's root has, such as the
parameters of a module. A call of a method is no path, and is not seen.
"""

import argparse
import re
import sys
import tempfile
from collections.abc import Callable, Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import ktap

TOP = Path(__file__).resolve().parents[2]
ROOTS = ("rust/xen/xen.rs", "rust/pcidev/pcidev.rs", "rust/pciback/pciback.rs", "samples/pcidev/src/main.rs",
         "selftests/zoo/src/lib.rs", "selftests/fuzz/fuzz.rs", "selftests/host/model/kernel.rs",
         "selftests/host/model/xen.rs", "selftests/host/model/pciback.rs", "selftests/host/model/pcidev_xen.rs",
         "selftests/host/model/pcidev.rs")
TESTS = re.compile(r"^#\[(?:cfg\(test\)\]|(?:kernel::macros::)?kunit_tests)", re.M)
SILENT = re.compile(r"""(path = "[^"]*")|//.*|'[{}"]'|"(?:[^"\\]|\\.)*\"""")
TOKEN = re.compile(r'#\[path = "(?P<place>.*)"\]|\bmod (?P<name>\w+)\s*(?P<end>[;{])|\buse (?P<use>[^;]+);'
                   r"|(?P<path>\b(?:\w+::)+\w+)|(?P<brace>[{}])")
# Between two commas, with braces in braces in braces.
PART = re.compile(r"(?:[^,{}]|\{(?:[^{}]|\{(?:[^{}]|\{[^{}]*\})*\})*\})+")

Module = tuple[str, ...]


def expand(tree: str) -> Iterator[tuple[list[str], str]]:
    """The paths in what follows `use`, each with the name that it gets."""
    head, brace, body = "".join(tree.split(" as ")[0].split()).partition("{")
    if not brace:
        path = head.removesuffix("::self").split("::")
        yield path, tree.split(" as ")[-1].strip() if " as " in tree else path[-1]
        return
    for part in PART.findall(tree.partition("{")[2].rstrip()[:-1]):
        if part.strip():
            yield from expand(head + part.strip())


class Crate:
    def __init__(self, root: Path) -> None:
        self.root = root
        self.files: dict[Module, Path] = {}
        self.names: dict[tuple[Module, str], list[str]] = {}
        self.paths: list[tuple[Module, list[str]]] = []
        self.read((), root, root.parent)

    def read(self, module: Module, file: Path, folder: Path) -> None:
        """A file, and those of its modules, which are in the folder."""
        self.files[module] = file
        text = SILENT.sub(r"\1", TESTS.split(file.read_text(encoding="utf-8"))[0])
        inside, depth, place = [(module, 0)], 0, ""
        for token in TOKEN.finditer(text):
            here = inside[-1][0]
            if token["place"]:
                place = token["place"]
            elif token["end"] == ";":
                name = token["name"]
                below = [folder / f"{name}.rs", folder / name / "mod.rs"]
                path = file.parent / place if place else next(path for path in below if path.exists())
                self.read((*here, name), path.resolve(), path.parent / path.stem)
                place = ""
            elif token["end"] == "{":
                depth += 1
                inside.append(((*here, token["name"]), depth))
                self.files[inside[-1][0]] = file
            elif token["use"]:
                for path, name in expand(token["use"]):
                    self.names[here, name] = path
                    self.paths.append((here, path))
            elif token["path"]:
                self.paths.append((here, token["path"].split("::")))
            elif token["brace"] == "{":
                depth += 1
            else:
                if depth == inside[-1][1] and len(inside) > 1:
                    inside.pop()
                depth -= 1

    def find(self, here: Module, path: list[str]) -> tuple[Module | None, bool]:
        """Where a path ends, if that is in this crate, and whether in more than the module alone."""
        at, inside = here, False
        for index, name in enumerate(path):
            if name == "crate" or name == "super":
                at = () if name == "crate" else at[:-1]
            elif name == "self":
                pass
            elif (*at, name) in self.files:
                at = (*at, name)
            elif self.names.get((at, name), path)[:index + 1] != path[:index + 1]:
                at, ends = self.find(at, self.names[at, name])
                if at is None or ends:
                    return at, True
            else:
                return at if inside else None, True
            inside = True
        return at, False

    def circle(self) -> list[str]:
        arrows: dict[Path, set[Path]] = {}
        for here, path in self.paths:
            there, ends = self.find(here, path)
            if ends and there is not None and self.files[there] not in (self.files[here], self.root):
                arrows.setdefault(self.files[here], set()).add(self.files[there])
        try:
            TopologicalSorter(arrows).prepare()
        except CycleError as error:
            return [" -> ".join(str(path.relative_to(self.root.parent, walk_up=True)) for path in reversed(error.args[1]))]
        return [] if arrows or len(set(self.files.values())) == 1 else ["no arrow is found: change this test"]


def crate(root: str) -> Callable[[], list[str]]:
    return lambda: Crate((TOP / root).resolve()).circle()


def made(files: dict[str, str]) -> list[str]:
    """What is found in a crate of these files."""
    with tempfile.TemporaryDirectory() as folder:
        for name, text in files.items():
            path = Path(folder).resolve() / name
            path.parent.mkdir(exist_ok=True)
            path.write_text(text, encoding="utf-8")
        return Crate(Path(folder).resolve() / "main.rs").circle()


def found(circle: str, files: dict[str, str]) -> Callable[[], list[str]]:
    return lambda: [] if made(files) == [circle] else [f"wanted {circle}, found {made(files) or 'none'}"]


MAIN = "mod a;\nmod b;\npub mod c;\n"
CASES = {
    "a circle of two is found": found("a.rs -> b.rs -> a.rs", {
        "main.rs": MAIN, "a.rs": "use crate::b::{B, X as Y};\npub struct A(B);\n",
        "b.rs": "pub struct B(Option<Box<crate::a::A>>);\n", "c.rs": ""}),
    "a circle through a name that is handed on is found": found("a.rs -> b.rs -> a.rs", {
        "main.rs": MAIN, "a.rs": "use super::c::{d::{e, B}, C};\n", "b.rs": "fn f() { super::a::g('{') }\n",
        "c.rs": "pub mod d {\n    pub use crate::{a, b::*, b::B};\n}\npub struct C;\n"}),
    "a circle in a folder is found": found("a/d.rs -> b.rs -> a/d.rs", {
        "main.rs": MAIN, "a.rs": "mod d;\npub use self::d::D;\n", "a/d.rs": "use crate::b;\npub struct D(b::B);\n",
        "b.rs": "use crate::a;\npub struct B(a::D);\n", "c.rs": ""}),
    "what tests and comments name, and the root, is no circle": lambda: made({
        "main.rs": MAIN, "a.rs": "use crate::b::B;\n", "c.rs": "use crate::a::A;\n",
        "b.rs": "// crate::a::A\nuse crate::NAME;\n#[cfg(test)]\nmod tests {\n    use crate::a::A;\n}\n"}),
}
NAMES = {f"no files of {root} name each other in a circle": crate(root) for root in ROOTS}


def main() -> int:
    argparse.ArgumentParser(description=__doc__.splitlines()[0]).parse_args()
    return ktap.run(NAMES | CASES)


if __name__ == "__main__":
    sys.exit(main())
