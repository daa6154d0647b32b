# SPDX-License-Identifier: GPL-2.0
"""A Xen of one's own: hypervisor, tools and firmware of an installed tree, instead of Debian's packages.

`sandbox` mounts the tree (XEN_DIST) and the device model (XEN_QEMU), if they are given.
"""

import gzip
import hashlib
import os
import re
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import elf
from cpio import Archive

SELFTESTS = Path(__file__).resolve().parents[1]
TREE, QEMU = Path("/run/xen-dist"), Path("/run/xen-qemu")
HOLDS = ("it has to hold what 'make install-xen install-tools DESTDIR=...' of Xen leaves: "
         "see 'A Xen of your own' in Documentation/development.rst")
PROGRAMS = ("xl", "xenstored", "xenconsoled", "xen-init-dom0", "xenstore-read")
# Folders of the tree that dom0 gets, under the name that they have there.
FOLDERS = {"etc": "etc", "opt": "opt", "usr": "usr", "bin": "usr/bin", "sbin": "usr/sbin", "lib": "usr/lib",
           "lib64": "usr/lib64"}
UNUSED = {"bash-completion", "bash_completion.d", "debug", "doc", "efi", "include", "man", "pkgconfig"}
LIBRARIES = ("usr/lib/x86_64-linux-gnu", "usr/lib64", "usr/lib")
# Files that libxl was built to start a guest with.
BIOS = re.compile(rb"(/[\w./+-]*bios[\w.-]*\.bin)\0")
MODEL = re.compile(rb"(/[\w./+-]*qemu-system-[\w-]+)\0")
DEBIAN_MODEL = "usr/libexec/xen-qemu-system-i386"


class Incomplete(Exception):
    """The tree lacks something; the text says what."""


@dataclass
class Dist:
    """A complete tree. Paths are relative to its top."""

    top: Path
    hypervisor: Path
    # What is looked for by its name, and where it is.
    found: dict[str, str]
    # Where libxl starts the device model, and the file that is to be there; None: the tree's, or else Debian's.
    model: str
    own_model: Path | None

    def key(self) -> str:
        """Changes with the place and with any file of it."""
        files = [f"{path} {status.st_size} {status.st_mtime_ns}" for path, status in self.files()]
        return hashlib.sha256("\n".join([name(), *files]).encode()).hexdigest()

    def files(self) -> Iterator[tuple[Path, os.stat_result]]:
        for path in sorted(self.top.rglob("*")):
            yield path, path.lstat()
        if self.own_model:
            yield self.own_model, self.own_model.lstat()

    def missing(self, dom0: Path) -> list[str]:
        """Libraries that dom0 would not find."""
        folders = [self.top / os.path.dirname(self.found["libxenlight.so"]), *(dom0 / folder for folder in LIBRARIES)]
        programs = [self.top / self.found[name] for name in PROGRAMS]
        model = self.own_model or self.top / self.model
        return elf.libraries([*programs, *([model] if model.exists() else [])], folders)[1]

    def borrows(self) -> bool:
        return not self.own_model and not (self.top / self.model).exists()

    def note(self, dom0: Path) -> str | None:
        """A reason why guests may not start."""
        library = os.path.basename(self.found["libxenctrl.so"])
        if not self.borrows() or next(dom0.glob(f"usr/lib/*/{library}"), None):
            return None
        return (f"the device model is Debian's, which was built for another Xen than {library}: if guests do not start, "
                "give one with XEN_QEMU=FILE")

    def path(self) -> str:
        """The directories of its programs in dom0."""
        return ":".join(dict.fromkeys(in_dom0(os.path.dirname(self.found[name])) for name in PROGRAMS))

    def libraries(self) -> str:
        return in_dom0(os.path.dirname(self.found["libxenlight.so"]))

    def write_hypervisor(self, out: BinaryIO) -> None:
        data = self.hypervisor.read_bytes()
        out.write(gzip.decompress(data) if self.hypervisor.suffix == ".gz" else data)

    def write(self, archive: Archive) -> None:
        """Add what dom0 uses of it, and a device model where libxl starts it."""
        for folder, target in FOLDERS.items():
            if (self.top / folder).is_dir():
                archive.tree(target, self.top / folder, unused(self.top / folder))
        if self.own_model:
            archive.add(self.model, 0o100755, self.own_model.read_bytes())
            # QEMU looks for its firmware beside itself.
            data = os.path.normpath(f"{os.path.dirname(self.model)}/../share/qemu")
            if not (self.top / data).exists():
                archive.add(data, 0o120777, b"/usr/share/qemu")
        elif self.borrows():
            archive.add(self.model, 0o120777, f"/{DEBIAN_MODEL}".encode())
        self.write_programs(archive)

    def write_programs(self, archive: Archive) -> None:
        """Add the programs of tests that use libxenctrl, if the tree has its headers."""
        headers = [path for path in (self.top / "usr/include", self.top / "usr/local/include") if (path / "xenctrl.h").exists()]
        if not headers:
            return
        libraries = self.top / os.path.dirname(self.found["libxenctrl.so"])
        with tempfile.TemporaryDirectory() as folder:
            subprocess.run(["make", "-s", "-C", SELFTESTS, f"bin={folder}", f"CFLAGS=-O2 -I{headers[0]}",
                            f"LDFLAGS=-L{libraries} -Wl,-rpath-link,{libraries}",
                            *(f"{folder}/{program}" for program in ("assigned", "handover"))], check=True)
            archive.tree("vm/bin", Path(folder))


def name() -> str:
    return " ".join(filter(None, (os.environ.get("XEN_DIST"), os.environ.get("XEN_QEMU"))))


def in_dom0(path: str) -> str:
    first, _, rest = path.partition("/")
    return f"/{FOLDERS[first]}/{rest}".rstrip("/")


def unused(folder: Path) -> frozenset[str]:
    """What is for building only."""
    return frozenset(str(path.relative_to(folder)) for path in folder.rglob("*")
                     if path.name in UNUSED or path.suffix == ".a")


def examine(dom0: Path, top: Path = TREE, own_model: Path = QEMU) -> Dist | None:
    """The tree that was given, if any; dom0 is the root of the system that it is put into."""
    if not top.exists():
        return None
    found = look(top)
    boot = [path for path in (top / "boot").glob("xen*") if path.name == "xen" or path.suffix == ".gz"]
    wanted = ("hvmloader", "libxenlight.so", "libxenctrl.so", *PROGRAMS)
    if lacks := ([] if boot else ["boot/xen.gz"]) + [name for name in wanted if name not in found]:
        raise Incomplete(f"XEN_DIST={name()} lacks {', '.join(lacks)}: {HOLDS}")
    libxl = (top / found["libxenlight.so"]).read_bytes()
    if not (model := MODEL.search(libxl)):
        raise Incomplete(f"XEN_DIST={name()}: its libxl knows no device model by its whole path "
                         "(--with-system-qemu=/PATH of Xen's configure)")
    if (bios := BIOS.search(libxl)) and not any((root / text(bios)).exists() for root in (top, dom0)):
        raise Incomplete(f"XEN_DIST={name()} lacks {text(bios)}, the BIOS that its libxl loads; Debian has none there")
    xen = Dist(top, min(boot, key=lambda path: len(path.name)), found, text(model),
               own_model if own_model.exists() else None)
    if missing := xen.missing(dom0):
        raise Incomplete(f"XEN_DIST={name()}: its programs want {', '.join(missing)}, which neither the tree nor Debian's "
                         f"dom0 has: put them into {xen.libraries()} of the tree")
    return xen


def text(path: re.Match[bytes]) -> str:
    return path[1].decode().lstrip("/")


def look(top: Path) -> dict[str, str]:
    """Where programs and libraries are: packages have other folders than Xen's own Makefile."""
    found: dict[str, str] = {}
    for folder in FOLDERS:
        for place, folders, files in os.walk(top / folder):
            folders[:] = sorted(set(folders) - UNUSED)
            for file in sorted(files):
                path = os.path.join(place, file)
                program = file in PROGRAMS and os.access(path, os.X_OK)
                library = re.fullmatch(r"(libxen(?:light|ctrl)\.so)\.[\d.]+", file)
                if program or library or file == "hvmloader":
                    found.setdefault(library[1] if library else file, os.path.relpath(path, top))
    return found
