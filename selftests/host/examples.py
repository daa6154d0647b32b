#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Whether what the documentation shows can be done: code is compiled, commands are looked up. Prints KTAP.

Wants the modules and the programs, which `make setup` builds.
"""

import os
import re
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import ktap

TOP = Path(__file__).resolve().parents[2]
BUILD = TOP / "build"
PAGES = [TOP / "README.md", *sorted(TOP.glob("Documentation/**/*.rst"))]
HEADERS = "stdio stdlib errno err fcntl sys/ioctl".split()
# A prototype of one request is no C.
REQUEST = re.compile(r"int ioctl\(int fd, (\w+),\s*(struct \w+ \*)\w+\);")
RUST = """//! Examples.
#![allow(unused, missing_docs, unreachable_pub)]
use kernel::prelude::*;
const __LOG_PREFIX: &[u8] = b"examples\\0";
"""
# Targets of the kernel's Makefile.
KERNELS = {"htmldocs", "headers_install"}
COMMAND = re.compile(r"(?:[$#] )?(?P<before>(?:\w+=\S* )*)(?P<name>make|pcidev)(?P<rest>(?: .*)?)$")
EXAMPLE = re.compile(r"^ *//[/!] ```\n((?: *//[/!].*\n)*?) *//[/!] ```$", re.M)


def ended(*command: str | Path, **options: object) -> tuple[bool, str]:
    done = subprocess.run(command, capture_output=True, text=True, check=False, **options)
    return not done.returncode, done.stdout + done.stderr


def c_program(page: str) -> str:
    """All blocks of a page, as one function: each uses what those before it declare."""
    blocks = re.findall(r"^\.\. code-block:: c\n\n((?:(?: {4}.*)?\n)+)", page, re.M)
    text = REQUEST.sub(r"ioctl(fd, \1, (\2)NULL);", "".join(blocks))
    includes = [f"#include <{name}.h>" for name in HEADERS] + re.findall(r"^ *(#include .*)", text, re.M)
    return "\n".join([*includes, "void example(void)", "{", re.sub(r"^ *#include.*", "", text, flags=re.M), "}\n"])


def c_compiles(text: str) -> list[str]:
    flags = ["-fsyntax-only", "-Wall", "-Wno-unused", "-Werror", f"-I{TOP}/rust/uapi"]
    well, said = ended("gcc", *flags, "-x", "c", "-", input=text)
    return [] if well else [said]


def c_examples() -> list[str]:
    pages = [text for text in texts() if "code-block:: c\n" in text]
    return [said for text in pages for said in c_compiles(c_program(text))] if pages else ["no example is found"]


def rust_examples() -> Iterator[str]:
    """Each example of crate xen, in a function of its own, which is in a constant of its own."""
    for path in sorted(TOP.glob("rust/xen/**/*.rs")):
        for block in EXAMPLE.findall(path.read_text(encoding="utf-8")):
            lines = re.sub(r"^ *//[/!] ?(?:# |#$)?", "", block, flags=re.M)
            result = " -> Result" if "Ok::<(), Error>(())" in lines else ""
            yield f"// {path.relative_to(TOP)}\nconst _: () = {{ fn example(){result} {{\n{lines}}} }};\n"


def rust_compiles(examples: list[str]) -> list[str]:
    """Compiled as the sample module was."""
    saved = (BUILD / "kbuild/samples/.sample.o.cmd").read_text(encoding="utf-8")
    flags = re.search(r" rustc (.*?) -L (\S+) (--sysroot=\S+) ", saved)
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, "examples.rs")
        source.write_text("\n".join([RUST, *examples]), encoding="utf-8")
        command = f"rustc {flags[1]} -L {flags[2]} {flags[3]} --emit=metadata --out-dir {folder} {source}"
        well, said = ended("sh", "-c", command, cwd=BUILD / "kbuild",
                           env=os.environ | {"RUST_MODFILE": "sample", "RUSTC_BOOTSTRAP": "1"})
    return [] if well and examples else [said or "no example is found"]


def commands(page: str) -> Iterator[tuple[str, list[str]]]:
    """Lines of blocks, and what is set as code in a sentence: a program and its words."""
    fenced = re.compile(r"^```\n(.*?)^```$", re.M | re.S)
    lines = re.findall(r"^ {2,}(\S.*)", page, re.M) + "".join(fenced.findall(page)).splitlines()
    spans = [" ".join(text.split()) for _, text in re.findall(r"(`+)(.+?)\1", fenced.sub("", page), re.S)]
    # A link is no command.
    for text in lines + [span for span in spans if not span.endswith(">")]:
        for part in re.split(r" (?:&&|\|\|?) ", text):
            if found := COMMAND.match(part.strip()):
                yield found["name"], found["before"].split() + shlex.split(found["rest"], comments=True)


def make(words: list[str]) -> list[str]:
    known = (TOP / "Makefile").read_text(encoding="utf-8")
    names = [word.partition("=")[0] for word in words if "=" in word]
    # What has $(MAKE) in it is run nevertheless.
    well, said = ended("make", "-n", "MAKE=:", "SANDBOX=:", *words, cwd=TOP)
    missing = [f"no variable {name}" for name in names if not re.search(rf"\b{name}\b", known)]
    return missing if well else [said.strip()]


def pcidev(words: list[str]) -> list[str]:
    command = [word for word in words[:1] if not word.startswith("-")]
    well, said = ended(BUILD / "bin/pcidev", *command, "--help")
    return [said.strip()] if not well else [
        f"no option {word}" for word in words if word.startswith("--") and not re.search(rf"{word}\b", said)]


def looked_up(pages: list[str]) -> list[str]:
    wanted = {(name, *words) for page in pages for name, words in commands(page)}
    checks = {"make": make, "pcidev": pcidev}
    return [f"{name} {shlex.join(words)}: {problem}" for name, *words in sorted(wanted)
            if not KERNELS.intersection(words) for problem in checks[name](words)] if wanted else ["no command is found"]


def texts() -> list[str]:
    return [page.read_text(encoding="utf-8") for page in PAGES]


def notices(test: Callable[..., list[str]], example: object) -> Callable[[], list[str]]:
    return lambda: [] if test(example) else ["nothing was noticed"]


def refused(error: str, *examples: str) -> Callable[[], list[str]]:
    """None of them compiles, each for this one reason."""
    def problem(example: str) -> str:
        said = "".join(rust_compiles([example]))
        errors = re.findall(r"^error(?:\[E\d+\])?: (?!aborting)(.*)", said, re.M)
        return "" if len(errors) == 1 and re.search(error, errors[0]) else f"{example}\n{said or 'It compiles.'}"

    return lambda: [text for text in map(problem, examples) if text]


def moves(trait: str) -> str:
    """A registration is moved, with the memory that the kernel knows."""
    room = trait.rpartition("::")[0]
    return f"""use core::pin::Pin;
fn moved<T: xen::{trait}>(it: Pin<KBox<xen::{room}::Registration<T>>>) -> KBox<xen::{room}::Registration<T>> {{
    Pin::into_inner(it)
}}"""


def on_device(call: str) -> str:
    return f"use xen::pci::*; fn f(dev: &kernel::pci::Device) {{ {call}; }}"


TESTS: dict[str, Callable[[], list[str]]] = {
    "all examples in C compile": c_examples,
    "all examples of crate xen compile": lambda: rust_compiles(list(rust_examples())),
    "all commands exist, with their options": lambda: looked_up(texts()),
    "a field that is none is noticed": notices(
        c_compiles, "#include <xen/pcidev.h>\nint gsi(struct xen_pcidev_info *info) { return info->gsi2; }"),
    "a method that is none is noticed": notices(
        rust_compiles, ["fn f(dev: &kernel::pci::Device) { xen::pci::ConfigSpace::off(dev); }"]),
    "a lock that another task releases does not compile": refused(
        "`.*` cannot be sent between threads safely",
        *(f"fn send(_: impl Send) {{}} {on_device(f'send({lock}::new(dev))')}" for lock in ("DeviceLock", "BusLock"))),
    "the bridge above a function that may be removed, or a directory of it, does not compile": refused(
        "no method named `.*` found", on_device("dev.upstream()"), on_device("dev.add_directory(())")),
    "changes of a function that is not locked do not compile": refused(
        "no method named `.*` found", *map(on_device, [
            "dev.mark_assigned()", "dev.clear_assigned()", "dev.enable()", "dev.forbid_reset()"])),
    "what Xen knows of a function that may be removed does not compile": refused(
        "^mismatched types", on_device("xen::vpci::Function::of(dev)")),
    "a registration that is moved does not compile": refused(
        "cannot be unpinned", *map(moves, [
            "gsi::lookup::GsiLookup", "gsi::irq::Handler", "linux::miscdevice::MiscDevice", "linux::module::Observer",
            "pci::bus::Observer", "pci::driver::Driver", "xenbus::Driver"])),
    "a target that is none is noticed": notices(looked_up, ["``make tests``"]),
    "a variable that is none is noticed": notices(looked_up, ["::\n\n  $ make test TEST='zoo'\n"]),
    "a command that is none is noticed": notices(looked_up, ["```\npcidev list\npcidev guests\n```\n"]),
    "an option that is none is noticed": notices(looked_up, ["`pcidev doctor 03:00.0 --quiet`"]),
}


if __name__ == "__main__":
    sys.exit(ktap.run(TESTS))
