#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Whether files of a Rust crate name each other in a circle. Prints KTAP.

An arrow is a path in one file, in `use` or elsewhere, to something in another; a
name that is only handed on (`pub use`) counts as that of the file which defines it.
So is the use of a macro, and the call of a method, whose type may have methods in many
files. Which one `x.f()` is, is told by the types that the calling file names, and by
whether anything is in the brackets; if it can be one of two, it is no arrow.
Unit tests may name anything, and all files what the crate's root has, such as the
parameters of a module.

The rooms of crate xen are listed in its root and in design.rst. Each may use those above.
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
SILENT = re.compile(r"""(path = "[^"]*")|//.*|'[{}"]'|"(?:[^"\\]|\\[\s\S])*\"""")
TOKEN = re.compile(r'#\[path = "(?P<place>.*)"\]|\bmod (?P<name>\w+)\s*(?P<end>[;{])|\buse (?P<use>[^;]+);'
                   r"|^ *(?:pub(?:\(\w+\))? )?(?:unsafe )?(?P<block>impl|trait)\b(?=(?P<head>[^{;]*)\{)"
                   r"|\bfn (?P<fn>\w+)(?=(?P<takes>[^{;]*))|(?P<path>\b(?:\w+::)+\w+)"
                   r"|macro_rules! (?P<rules>\w+)|\b(?P<macro>\w+)!\s*(?=[({\[])"
                   r"|(?P<self>\bself)?\s*\.(?P<call>\w+)(?=(?:::<[^(]*>)?\((?P<bare>\s*\))?)|(?P<brace>[{}])", re.M)
# What a block is of, which may be a trait of a type, each without what it is generic over.
GENERIC = r"(?:<(?:[^<>]|<(?:[^<>]|<[^<>]*>)*>)*>)?"
HEAD = re.compile(rf"{GENERIC} *((?:\w+::)*\w+){GENERIC}(?: for &?((?:\w+::)*\w+))?")
SELF = re.compile(r"\((?:&(?:'\w+ )?)?(?:mut )?self\b(?:: [^,()]*)?(,?\s*\))?")
# Between two commas, with braces in braces in braces.
PART = re.compile(r"(?:[^,{}]|\{(?:[^{}]|\{(?:[^{}]|\{[^{}]*\})*\})*\})+")

# What a list of rooms has at the beginning of a line, in a comment or in a table.
ROOM = re.compile(r"^(?://! \* \[`|``)(\w+)`", re.M)

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
        self.macros: dict[str, Module] = {}
        self.used_macros: list[tuple[Module, str]] = []
        # Each method with its type or trait, and each call with the type, if that is said. Last:
        # whether there is nothing in the brackets; None if it is not what a dot stands before.
        self.methods: list[tuple[Module, list[str], str, bool | None]] = []
        self.calls: list[tuple[Module, list[str], str, bool | None]] = []
        self.read((), root, root.parent)

    def read(self, module: Module, file: Path, folder: Path) -> None:
        """A file, and those of its modules, which are in the folder."""
        self.files[module] = file
        text = SILENT.sub(r"\1", TESTS.split(file.read_text(encoding="utf-8"))[0])
        inside, depth, place = [(module, 0)], 0, ""
        blocks: list[tuple[list[str], bool, int]] = []
        begins: tuple[list[str], bool] | None = None
        for token in TOKEN.finditer(text):
            here = inside[-1][0]
            owner, defines, within = blocks[-1] if blocks else ([], False, -1)
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
            elif token["block"]:
                head = HEAD.match(token["head"])
                begins = ((head[2] or head[1]).split("::"), not head[2]) if head else ([], False)
            elif token["fn"]:
                if defines and depth == within:
                    takes = SELF.search(token["takes"])
                    self.methods.append((here, owner, token["fn"], takes and bool(takes[1])))
            elif token["rules"]:
                self.macros[token["rules"]] = here
            elif token["macro"]:
                self.used_macros.append((here, token["macro"]))
            elif token["path"]:
                path = token["path"].split("::")
                self.paths.append((here, path))
                self.calls.append((here, owner if path[0] == "Self" else path[:-1], path[-1], None))
            elif token["call"]:
                self.calls.append((here, owner if token["self"] else [], token["call"], bool(token["bare"])))
            elif token["brace"] == "{":
                depth += 1
                if begins is not None:
                    blocks.append((*begins, depth))
                    begins = None
            elif token["brace"]:
                if depth == inside[-1][1] and len(inside) > 1:
                    inside.pop()
                if depth == within:
                    blocks.pop()
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

    def place(self, here: Module, path: list[str]) -> Module:
        """The module of what a path names, which is in this one if it was not imported."""
        return self.find(here, path)[0] or here

    def arrows(self) -> set[tuple[Module, Module]]:
        """From each module to those which it names, or of which it calls a method or a macro."""
        arrows: set[tuple[Module, Module]] = set()
        # The types and traits that a file names or defines: only their methods can it call.
        named: dict[Path, set[tuple[Module, str]]] = {}
        for here, path in self.paths:
            there, ends = self.find(here, path)
            if ends and there is not None:
                arrows.add((here, there))
                named.setdefault(self.files[here], set()).update((there, name) for name in path)
                if there == () and path[-1] in self.macros:
                    arrows.add((here, self.macros[path[-1]]))
        arrows.update((here, self.macros[name]) for here, name in self.used_macros if name in self.macros)

        of_type: dict[tuple[Module, str, str], set[Module]] = {}
        of_call: dict[tuple[str, bool | None], set[tuple[tuple[Module, str], Module]]] = {}
        for here, owner, name, bare in self.methods:
            kind = (self.place(here, owner), owner[-1])
            of_type.setdefault((*kind, name), set()).add(here)
            of_call.setdefault((name, bare), set()).add((kind, here))
            named.setdefault(self.files[here], set()).add(kind)
        for here, owner, name, bare in self.calls:
            found = of_type.get((self.place(here, owner), owner[-1], name)) if owner else None
            if not found and bare is not None:
                file = self.files[here]
                found = {there for kind, there in of_call.get((name, bare), ())
                         if kind in named.get(file, ()) or self.files[kind[0]] == file}
                # Else nobody can tell which it is.
                found = found if len({self.files[there] for there in found}) == 1 else None
            arrows.update((here, there) for there in found or ())
        return arrows

    def circle(self) -> list[str]:
        """The files of a circle, if there is one."""
        arrows: dict[Path, set[Path]] = {}
        for here, there in sorted(self.arrows()):
            if self.files[there] not in (self.files[here], self.root):
                arrows.setdefault(self.files[here], set()).add(self.files[there])
        try:
            TopologicalSorter(arrows).prepare()
        except CycleError as error:
            return [" -> ".join(str(path.relative_to(self.root.parent, walk_up=True)) for path in reversed(error.args[1]))]
        return [] if arrows or len(set(self.files.values())) == 1 else ["no arrow is found: change this test"]

    def wrong_rooms(self, text: str) -> list[str]:
        """The rooms of the crate that use one which a list of rooms has below them."""
        rooms = ROOM.findall(text)
        if missing := {module[0] for module in self.files if module} - set(rooms) - {"bindings"}:
            return [f"the list has no {room}" for room in sorted(missing)]
        used = {(here[0], there[0]) for here, there in self.arrows() if here and there}
        return [f"{here} uses {there}, which is below it" for here, there in sorted(used)
                if here in rooms and there in rooms and rooms.index(here) < rooms.index(there)]
def crate(root: str) -> Callable[[], list[str]]:
    return lambda: Crate((TOP / root).resolve()).circle()


def of_files(files: dict[str, str], ask: Callable[[Crate], list[str]]) -> list[str]:
    """What a crate of these files answers."""
    with tempfile.TemporaryDirectory() as folder:
        for name, text in files.items():
            path = Path(folder).resolve() / name
            path.parent.mkdir(exist_ok=True)
            path.write_text(text, encoding="utf-8")
        return ask(Crate(Path(folder).resolve() / "main.rs"))


def made(files: dict[str, str]) -> list[str]:
    """What is found in a crate of these files."""
    return of_files(files, Crate.circle)


def order(*rooms: str) -> list[str]:
    """What is wrong with this list, as b uses a."""
    files = {"main.rs": MAIN, "a.rs": "", "b.rs": "use crate::a::A;\n", "c.rs": ""}
    return of_files(files, lambda crate: crate.wrong_rooms("".join(f"//! * [`{room}`]: it.\n" for room in rooms)))


def found(circle: str, files: dict[str, str]) -> Callable[[], list[str]]:
    return lambda: [] if made(files) == [circle] else [f"wanted {circle}, found {made(files) or 'none'}"]


def rooms() -> list[str]:
    """Both lists agree with the arrows, and with each other."""
    xen = Crate((TOP / ROOTS[0]).resolve())
    listed = xen.root.read_text(encoding="utf-8")
    design = (TOP / "Documentation/design.rst").read_text(encoding="utf-8")
    table = design.partition("\ncrate ``xen``\n")[2].partition("\ncrate ")[0]
    if ROOM.findall(listed) != ROOM.findall(table):
        return [f"design.rst has another order: {ROOM.findall(table)}"]
    return xen.wrong_rooms(listed)


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
    "a circle through methods of one type in two files is found": found("a.rs -> b.rs -> a.rs", {
        "main.rs": MAIN, "a.rs": "pub struct A;\nimpl A {\n    fn f(&self) {\n        self\n            .g()\n    }\n}\n",
        "b.rs": "use crate::a::A;\nimpl A {\n    pub fn g(&self) {}\n}\n", "c.rs": ""}),
    "a circle through methods of an argument is found": found("b.rs -> c.rs -> b.rs", {
        "main.rs": MAIN, "a.rs": "pub struct A;\n",
        "b.rs": "use crate::a::A;\nimpl A {\n    pub fn g(&self, n: u8) {}\n}\nfn f(a: &A) { a.h::<u8>() }\n",
        "c.rs": "use crate::a::A;\nimpl A {\n    pub fn h<T>(self: &Arc<Self>) {}\n}\nfn f(a: &A) { a.g(7) }\n"}),
    "a circle through a trait and Self is found": found("a.rs -> b.rs -> a.rs", {
        "main.rs": MAIN, "a.rs": "pub struct A;\nimpl Iterator for A {\n    fn next(&mut self) { Self::g() }\n}\n",
        "b.rs": "use crate::a::A;\nimpl A {\n    pub fn g() {}\n}\n", "c.rs": ""}),
    "a circle through macros is found": found("a.rs -> b.rs -> a.rs", {
        "main.rs": MAIN, "a.rs": "macro_rules! of_a {\n    () => { $crate::of_b!() };\n}\n",
        "b.rs": "macro_rules! of_b {\n    () => {};\n}\nfn f() { of_a! {} }\n", "c.rs": ""}),
    "methods of other types that have the same name are no circle": lambda: made({
        "main.rs": MAIN, "a.rs": "pub struct A;\nimpl A {\n    fn f(&self, n: u8, map: &Map) { map.store(n); n.len(); b.take() }\n}\n",
        "b.rs": "use crate::{a::A, c::C};\nimpl A {\n    fn len(&self, n: u8) {}\n    fn take() {}\n}\n",
        "c.rs": "use crate::a::A;\npub struct C;\nimpl C {\n    fn store(&self, n: u8, a: A) {}\n}\n"}),
    "the rooms of crate xen are listed in their order": rooms,
    "a room that uses one below it is found": lambda: [] if (
        wrong := order("c", "b", "a")) == ["b uses a, which is below it"] else [f"found {wrong}"],
    "a room that is not listed is found": lambda: [] if (
        wrong := order("a", "b")) == ["the list has no c"] else [f"found {wrong}"],
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
