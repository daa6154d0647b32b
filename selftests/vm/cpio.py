# SPDX-License-Identifier: GPL-2.0
"""Write cpio archives (format "newc") that the kernel unpacks as an initramfs.

Our own writer because an archive is made of files from several places under
new names, as an ordinary user, and must not depend on who owns the sources.
"""

import os
import stat
from pathlib import Path
from typing import BinaryIO

CONSOLE = os.makedev(5, 1)


class Archive:
    """One archive, written to an open file; entries belong to root."""

    def __init__(self, out: BinaryIO) -> None:
        self.out = out
        self.inode = 0
        self.directories: set[str] = {""}

    def add(self, name: str, mode: int, data: bytes = b"", device: int = 0, mtime: int = 0) -> None:
        """Add one entry; `mode` holds the file type too."""
        name = name.strip("/")
        self.parents(name)
        self.entry(name, mode, data, device, mtime)

    def parents(self, name: str) -> None:
        """The kernel makes no directories by itself."""
        parent = os.path.dirname(name)
        if parent not in self.directories:
            self.parents(parent)
            self.directories.add(parent)
            self.entry(parent, stat.S_IFDIR | 0o755)

    def entry(self, name: str, mode: int, data: bytes = b"", device: int = 0, mtime: int = 0) -> None:
        self.inode += 1
        path = os.fsencode(name) + b"\0"
        fields = (self.inode, mode, 0, 0, 1, mtime, len(data), 0, 0,
                  os.major(device), os.minor(device), len(path), 0)
        self.write(b"070701" + b"".join(b"%08X" % field for field in fields) + path)
        self.write(data)

    def write(self, data: bytes) -> None:
        self.out.write(data + b"\0" * (-len(data) % 4))

    def file(self, name: str, source: Path) -> None:
        """Add a file, symbolic link or directory as it is."""
        status = source.lstat()
        mode, mtime = status.st_mode, int(status.st_mtime)
        if stat.S_ISLNK(mode):
            self.add(name, mode, os.fsencode(os.readlink(source)))
        elif stat.S_ISREG(mode):
            # Python goes by the time to tell whether its compiled files are current.
            self.add(name, mode, source.read_bytes(), mtime=mtime)
        elif stat.S_ISDIR(mode) and name.strip("/") not in self.directories:
            self.directories.add(name.strip("/"))
            self.add(name, mode)

    def tree(self, prefix: str, top: Path, skip: frozenset[str] = frozenset()) -> None:
        """Add everything below a directory but the paths in `skip`."""
        for folder, folders, files in os.walk(top):
            inside = os.path.relpath(folder, top)
            kept = {item for item in folders + files if os.path.normpath(f"{inside}/{item}") not in skip}
            folders[:] = sorted(kept.intersection(folders))
            for item in sorted(kept):
                self.file(f"{prefix}/{inside}/{item}".replace("/./", "/"), Path(folder, item))

    def close(self) -> None:
        """End the archive, so that the next one starts on a 4-byte boundary."""
        self.entry("TRAILER!!!", 0)
