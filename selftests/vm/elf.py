# SPDX-License-Identifier: GPL-2.0
"""The shared libraries of programs."""

import os
import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path


def libraries(programs: Iterable[Path], folders: list[Path]) -> tuple[list[Path], list[str]]:
    """Those in these folders, the loader included; and the names of those that are in none."""
    found: dict[str, Path | None] = {}
    queue = list(programs)
    while queue:
        for name in needed(queue.pop()):
            if name not in found:
                found[name] = next((folder / name for folder in folders if (folder / name).exists()), None)
                queue += filter(None, [found[name]])
    return [path for path in found.values() if path], [name for name, path in found.items() if not path]


def needed(program: Path) -> Iterator[str]:
    """What an ELF file names; nothing for another file."""
    text = subprocess.run(["readelf", "-ldW", program], check=False, capture_output=True, text=True).stdout
    for line in text.splitlines():
        if "(NEEDED)" in line or "program interpreter" in line:
            yield os.path.basename(line.rsplit("[" if "NEEDED" in line else " ", 1)[1].rstrip("]"))
