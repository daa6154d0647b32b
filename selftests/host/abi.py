#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Compare the two descriptions of the ioctls of /dev/xen/pcidev: C's and Rust's.

Both are compiled, and the compilers say where each field lies and what each
constant is. Which fields and constants there are is read from the two files, so
one that is added to one of them alone is noticed. Prints KTAP.
"""

import argparse
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import ktap

UAPI = Path(__file__).resolve().parents[2] / "rust" / "uapi"

# Rust leaves these out: the type is part of each number, and the others are
# what a field is that is not set.
ONLY_IN_C = {"IOC_TYPE": 0xBE, "TRIGGER_EDGE": 0, "POLARITY_HIGH": 0}

Layout = dict[str, int]


@dataclass
class Names:
    """What one of the files defines: the fields of each structure, and constants."""

    structures: dict[str, list[str]]
    constants: list[str]


def c_names(header: str) -> Names:
    structures = {
        name: re.findall(r"^\t__[us]\d+ (\w+);", body, re.M)
        for name, body in re.findall(r"^struct xen_pcidev_(\w+) \{\n(.*?)^\};", header, re.M | re.S)
    }
    return Names(structures, re.findall(r"^#define XEN_PCIDEV_(\w+)[ \t]", header, re.M))


def rust_names(source: str) -> Names:
    structures = {
        name.lower(): re.findall(r"^    pub (\w+): ", body, re.M)
        for name, body in re.findall(r"^pub struct (\w+) \{\n(.*?)^\}", source, re.M | re.S)
    }
    return Names(structures, re.findall(r"^pub const (\w+):", source, re.M))


def c_program(names: Names) -> str:
    lines = ["#include <stddef.h>", "#include <stdio.h>", "#include <xen/pcidev.h>", "int main(void)", "{"]
    for structure, fields in names.structures.items():
        tag = f"struct xen_pcidev_{structure}"
        lines.append(f'printf("size-of-{structure} %zu\\n", sizeof({tag}));')
        for field in fields:
            lines.append(f'printf("offset-of-{structure}.{field} %zu\\n", offsetof({tag}, {field}));')
            lines.append(f'printf("size-of-{structure}.{field} %zu\\n", sizeof((({tag} *)0)->{field}));')
    for constant in names.constants:
        lines.append(f'printf("{constant} %llu\\n", (unsigned long long)XEN_PCIDEV_{constant});')
    return "\n".join([*lines, "return 0;", "}", ""])


def rust_program(names: Names, source: Path) -> str:
    lines = [f'#[allow(dead_code)] #[path = "{source}"] mod uapi;', "fn main() {"]
    for structure, fields in names.structures.items():
        path = f"uapi::{structure.capitalize()}"
        lines.append(f'println!("size-of-{structure} {{}}", size_of::<{path}>());')
        for field in fields:
            name = f"{structure}.{field}"
            lines.append(f'println!("offset-of-{name} {{}}", std::mem::offset_of!({path}, {field}));')
            lines.append(f'println!("size-of-{name} {{}}", size_of_val(&{path}::default().{field}));')
            lines.append(f"let words = {path} {{ {field}: 1, ..Default::default() }}.to_words();")
            lines.append(f'println!("word-of-{name} {{}}", 4 * words.iter().position(|&w| w == 1).unwrap());')
    for constant in names.constants:
        lines.append(f'println!("{constant} {{}}", u64::from(uapi::{constant}));')
    return "\n".join([*lines, "}", ""])


def run(*command: str | Path) -> str:
    result = subprocess.run(command, capture_output=True, text=True)
    if result.returncode:
        raise RuntimeError(f"{command[0]}: {result.stderr.strip()}")
    return result.stdout


def layout(program: Path) -> Layout:
    return {name: int(value) for name, value in (line.split() for line in run(program).splitlines())}


def c_layout(directory: Path, names: Names) -> Layout:
    source, program = directory / "c.c", directory / "c"
    source.write_text(c_program(names))
    run("gcc", "-std=c99", "-Wall", "-Wextra", "-Werror", "-I", directory, "-o", program, source)
    return layout(program)


def other_for_32_bit(directory: Path, names: Names, found: Layout) -> list[str]:
    """What a 32-bit program would see in another place. It cannot be run here, but compiled."""
    lines = ["#include <stddef.h>", "#include <xen/pcidev.h>"]
    for structure, fields in names.structures.items():
        tag = f"struct xen_pcidev_{structure}"
        lines.append(f"_Static_assert(sizeof({tag}) == {found[f'size-of-{structure}']}, \"{structure}\");")
        for field in fields:
            offset = found[f"offset-of-{structure}.{field}"]
            lines.append(f"_Static_assert(offsetof({tag}, {field}) == {offset}, \"{structure}.{field}\");")
    source = directory / "c32.c"
    source.write_text("\n".join([*lines, ""]))
    try:
        run("gcc", "-m32", "-fsyntax-only", "-I", directory, source)
    except RuntimeError as error:
        places = re.findall(r'static assertion failed: "(.*)"', str(error))
        if not places:
            raise
        return [f"{place}: not the same for 32-bit programs" for place in places]
    return []


def rust_layout(directory: Path) -> Layout:
    names = rust_names((directory / "pcidev.rs").read_text())
    source, program = directory / "rust.rs", directory / "rust"
    source.write_text(rust_program(names, directory / "pcidev.rs"))
    run("rustc", "--edition", "2021", "-o", program, source)
    return layout(program)


def differences(directory: Path) -> list[str]:
    """What is not the same in xen/pcidev.h and pcidev.rs of a directory."""
    names = c_names((directory / "xen" / "pcidev.h").read_text())
    in_c, in_rust = c_layout(directory, names), rust_layout(directory)
    words = {name: value for name, value in in_rust.items() if name.startswith("word-of-")}
    in_rust = {name: value for name, value in in_rust.items() if name not in words} | ONLY_IN_C
    different = [
        f"{name}: {in_c.get(name, 'nothing')} in C, {in_rust.get(name, 'nothing')} in Rust"
        for name in {**in_c, **in_rust}
        if in_c.get(name) != in_rust.get(name)
    ]
    for name, value in words.items():
        offset = in_rust[name.replace("word-of-", "offset-of-")]
        if value != offset:
            different.append(f"{name}: to_words() puts it at {value}, the structure at {offset}")
    return different + other_for_32_bit(directory, names, in_c)


def changed(uapi: Path, name: str, old: str, new: str) -> list[str]:
    """The differences after a change of one file: what is between them must be noticed."""
    with tempfile.TemporaryDirectory() as temporary:
        directory = Path(temporary)
        (directory / "xen").mkdir()
        for file in ("xen/pcidev.h", "pcidev.rs"):
            text = (uapi / file).read_text()
            if file == name:
                if old not in text:
                    raise RuntimeError(f"{file} has no {old!r} any more: change this test")
                text = text.replace(old, new, 1)
            (directory / file).write_text(text)
        return differences(directory)


def same(uapi: Path) -> list[str]:
    return changed(uapi, "", "", "")


def notices(name: str, old: str, new: str) -> Callable[[Path], list[str]]:
    def test(uapi: Path) -> list[str]:
        return [] if changed(uapi, name, old, new) else ["nothing was noticed"]

    return test


HEADER, SOURCE = "xen/pcidev.h", "pcidev.rs"
TESTS: dict[str, Callable[[Path], list[str]]] = {
    "C and Rust agree on every field, constant and ioctl number": same,
    "a swap of two fields in C is noticed": notices(
        HEADER, "__u32 flags;		/* 0 */\n\t__u32 sbdf;", "__u32 sbdf;\n\t__u32 flags;"),
    "a swap of two fields in Rust is noticed": notices(
        SOURCE, "pub trigger: u32,\n    /// Out: the polarity: 0 active high, 1 active low.\n    pub polarity: u32,",
        "pub polarity: u32,\n    /// Out: the trigger mode: 0 edge, 1 level.\n    pub trigger: u32,"),
    "a wider field in C is noticed": notices(HEADER, "__u32 msix;", "__u64 msix;"),
    "a field that Rust lacks is noticed": notices(HEADER, "__u32 msix;", "__u32 msix;\n\t__u32 more;"),
    "another ioctl number in C is noticed": notices(
        HEADER, "_IO(XEN_PCIDEV_IOC_TYPE, 2)", "_IO(XEN_PCIDEV_IOC_TYPE, 4)"),
    "another ioctl number in Rust is noticed": notices(SOURCE, "GET_GSI: u32 = io(0)", "GET_GSI: u32 = io(7)"),
    "another bit in Rust is noticed": notices(SOURCE, "VALID_IRQ: u32 = 1 << 1", "VALID_IRQ: u32 = 1 << 3"),
    "a field that 32-bit programs see in another place is noticed": notices(HEADER, "\t__u32 pad;", "\t__u64 pad;"),
    "words in another order than the fields are noticed": notices(
        SOURCE, "self.gsi,\n            self.irq,", "self.irq,\n            self.gsi,"),
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--uapi", type=Path, default=UAPI, help="where pcidev.rs and xen/pcidev.h are")
    uapi = parser.parse_args().uapi
    return ktap.run(TESTS, uapi)


if __name__ == "__main__":
    sys.exit(main())
