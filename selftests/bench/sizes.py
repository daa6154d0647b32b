#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Print, as samples: the sizes of the modules, and how much of their code is unsafe.

All lines of C are, but for empty ones and comments. Of Rust those are that are in a
block, function or implementation marked so, in either module or crate xen.
"""

import lzma
import re
import subprocess
import sys
import tempfile
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]
STOCK = "kernel/drivers/xen/xen-pciback"
OURS = ("xen-pcidev.ko", "xen-pciback.ko")


def size(module: Path) -> tuple[int, int]:
    """Text and read-only data, and data that can be written, as binutils' size counts them."""
    words = subprocess.run(["size", module], check=True, capture_output=True, text=True).stdout.splitlines()[1].split()
    return int(words[0]), int(words[1]) + int(words[2])


def stock_module() -> tuple[int, int]:
    packed = next((TOP / "build/kernel/usr/lib/modules").glob(f"*/{STOCK}/xen-pciback.ko*"))
    data = packed.read_bytes()
    with tempfile.NamedTemporaryFile() as file:
        file.write(lzma.decompress(data) if packed.suffix == ".xz" else data)
        file.flush()
        return size(Path(file.name))


def lines_of_c(paths: list[Path]) -> int:
    """Without comments, empty lines, and what the preprocessor includes."""
    return sum(len([line for line in subprocess.run(
        ["gcc", "-fpreprocessed", "-dD", "-E", "-P", path], check=True, capture_output=True, text=True
    ).stdout.splitlines() if line.strip()]) for path in paths)


def unsafe_lines(text: str) -> int:
    """The lines from each "unsafe" that opens a brace to where that closes; comments and strings aside."""
    count = depth = 0
    inside = False
    for line in text.splitlines():
        code = re.sub(r'"(\\.|[^"\\])*"|//.*', "", line)
        begins = re.search(r"\bunsafe\b", code)
        if not inside and not begins:
            continue
        if not inside:
            code, depth, inside = code[begins.start():], 0, True
        count += 1
        depth += code.count("{") - code.count("}")
        # "unsafe impl Send for X {}" ends where it begins; a head without its brace goes on.
        if depth <= 0 and ("}" in code or ";" in code):
            inside = False
    return count


def main() -> int:
    theirs = stock_module()
    ours = [size(TOP / "build/modules" / name) for name in OURS]
    for index, name in enumerate(("text", "data")):
        print(f"sample {name} stock - {theirs[index]}")
        print(f"sample {name} rust - {sum(each[index] for each in ours)}")
    print(f"sample unsafe stock - {lines_of_c(sorted((TOP / 'build/linux/drivers/xen/xen-pciback').glob('*.[ch]')))}")
    rust = sum(unsafe_lines(path.read_text(encoding="utf-8")) for path in (TOP / "rust").rglob("*.rs"))
    print(f"sample unsafe rust - {rust + lines_of_c(sorted((TOP / 'rust/xen/helpers').glob('*.[ch]')))}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
