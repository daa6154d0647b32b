#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Compare syzkaller's description of /dev/xen/pcidev with the header.

The compiler says where the header's fields lie and what its constants are. What
the description has is read from it, and so is what it might lack. Prints KTAP.
"""

import re
import shutil
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import abi
import ktap

FUZZ = Path(__file__).resolve().parents[1] / "fuzz"
PREFIX = "XEN_PCIDEV_"


@dataclass
class Description:
    """What the description has, in the header's names."""

    # Of each call: the constant that is its number, and the structure behind its argument.
    calls: dict[str, tuple[str, str]]
    # Of each structure: its fields, and the bytes of each; 0 for an array at the end.
    structures: dict[str, dict[str, int]]
    used: set[str]
    constants: dict[str, int]


def size_of(kind: str, resources: dict[str, str]) -> int:
    """The bytes of a field of this type."""
    name, _, options = kind.partition("[")
    if name == "array":
        return 0
    if name in ("len", "const", "flags"):
        name = options.rstrip("]").split(", ")[-1]
    name = resources.get(name, name)
    found = re.fullmatch(r"int(8|16|32|64)", name)
    if not found:
        raise RuntimeError(f"{kind}: not a type that is known here")
    return int(found[1]) // 8


def read(text: str, constants: str) -> Description:
    text = re.sub(r"^#.*\n", "", text, flags=re.M)
    resources = dict(re.findall(r"^resource (\w+)\[(\w+)\]", text, re.M))
    calls = {name: (number, structure) for name, number, structure in re.findall(
        r"^ioctl\$(\w+)\(fd fd_xen_pcidev, cmd const\[(\w+)\], arg ptr\[inout, (\w+)\]\)$", text, re.M)}
    if len(calls) != text.count("ioctl$"):
        raise RuntimeError("a call is written in a way that is not known here")
    structures = {
        name: {field: size_of(kind, resources) for field, kind in re.findall(r"^\t(\w+)\t+([^\t\n]+)", body, re.M)}
        for name, body in re.findall(r"^(\w+) \{\n(.*?)^\}", text, re.M | re.S)
    }
    used = set(re.findall(rf"\b{PREFIX}\w+", re.sub(r"ioctl\$\w+", "", text)))
    values = {name: int(value) for name, value in re.findall(r"^(\w+) = (\d+)$", constants, re.M)}
    return Description(calls, structures, used, values)


def differences(directory: Path) -> list[str]:
    """What is not the same in the description and the header of a directory."""
    header = (directory / "xen/pcidev.h").read_text()
    names = abi.c_names(header)
    layout = abi.c_layout(directory, names)
    found = read((directory / "xen_pcidev.txt").read_text(), (directory / "xen_pcidev.txt.const").read_text())
    different = []

    wanted = {PREFIX + name for name in names.constants if name.startswith(("GET_", "BY_"))}
    different += [f"{name}: not in the description" for name in sorted(wanted - found.used)]
    different += [f"{name}: not in the header" for name in sorted(found.used - wanted)]
    for name in sorted(wanted & found.used):
        if found.constants.get(name) != layout[name.removeprefix(PREFIX)]:
            different.append(f"{name}: {found.constants.get(name)}, in the header {layout[name.removeprefix(PREFIX)]}")
    for name, (number, structure) in found.calls.items():
        meant = {"GET_LIST": "list", "GET_RESERVED": "reserved"}.get(name.removeprefix(PREFIX), "info")
        if number != name or structure != f"xen_pcidev_{meant}":
            different.append(f"ioctl${name}: number {number}, argument {structure}")

    if set(found.structures) != {f"xen_pcidev_{name}" for name in names.structures}:
        different.append(f"structures: {', '.join(found.structures)}")
    for name, fields in names.structures.items():
        described = found.structures.get(f"xen_pcidev_{name}", {})
        body = re.search(rf"struct xen_pcidev_{name} \{{\n(.*?)^\}}", header, re.M | re.S)
        arrays = re.findall(r"(\w+)\[\];", body[1]) if body else []
        sizes = {field: layout[f"size-of-{name}.{field}"] for field in fields} | {field: 0 for field in arrays}
        if list(described.items()) != list(sizes.items()):
            different.append(f"xen_pcidev_{name}: {described}, in the header {sizes}")
    return different


def changed(name: str, old: str, new: str) -> list[str]:
    """The differences after a change of one file."""
    with tempfile.TemporaryDirectory() as temporary:
        directory = Path(temporary)
        (directory / "xen").mkdir()
        for source in (abi.UAPI / "xen/pcidev.h", FUZZ / "xen_pcidev.txt", FUZZ / "xen_pcidev.txt.const"):
            target = directory / ("xen/pcidev.h" if source.suffix == ".h" else source.name)
            shutil.copy(source, target)
            if source.name == name:
                text = target.read_text()
                if old not in text:
                    raise RuntimeError(f"{name} has no {old!r} any more: change this test")
                target.write_text(text.replace(old, new, 1))
        return differences(directory)


def same() -> list[str]:
    return changed("", "", "")


def notices(name: str, old: str, new: str) -> Callable[[], list[str]]:
    return lambda: [] if changed(name, old, new) else ["nothing was noticed"]


TEXT, CONST, HEADER = "xen_pcidev.txt", "xen_pcidev.txt.const", "pcidev.h"
TESTS: dict[str, Callable[[], list[str]]] = {
    "the description has the header's calls, numbers, fields and flags": same,
    "a field that the description lacks is noticed": notices(TEXT, "\tdomid\t\tint32\t(out)\n", ""),
    "fields in another order are noticed": notices(TEXT, "\tgsi\tint32\t(out)\n\tirq", "\tirq\tint32\t(out)\n\tgsi"),
    "a wider field is noticed": notices(TEXT, "msix\t\tint32", "msix\t\tint64"),
    "a new call of the header is noticed": notices(
        HEADER, "/* The functions to list", "#define XEN_PCIDEV_GET_MORE _IO(XEN_PCIDEV_IOC_TYPE, 4)\n/* The"),
    "another number in the header is noticed": notices(HEADER, "_IO(XEN_PCIDEV_IOC_TYPE, 2)",
                                                        "_IO(XEN_PCIDEV_IOC_TYPE, 4)"),
    "another constant is noticed": notices(CONST, "XEN_PCIDEV_BY_IRQ = 2", "XEN_PCIDEV_BY_IRQ = 4"),
    "a call with another's argument is noticed": notices(
        TEXT, "cmd const[XEN_PCIDEV_GET_LIST], arg ptr[inout, xen_pcidev_list]",
        "cmd const[XEN_PCIDEV_GET_LIST], arg ptr[inout, xen_pcidev_info]"),
}


if __name__ == "__main__":
    sys.exit(ktap.run(TESTS))
