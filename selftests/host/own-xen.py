#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""What is said of a tree for XEN_DIST that lacks something, and what dom0 gets of one that does not. Prints KTAP."""

import gzip
import io
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from unittest import mock

VM = Path(__file__).resolve().parents[1] / "vm"
sys.path.insert(0, str(VM))

import dist   # noqa: E402
import images   # noqa: E402
import ktap
from cpio import Archive   # noqa: E402

LIBXL = b"\x7fELF\0/usr/lib/xen/bin/qemu-system-i386\0/usr/share/seabios/bios-256k.bin\0"
# As Xen's own Makefile lays them, and as packages do.
OWN = {"boot/xen-4.99.0.gz": gzip.compress(b"hypervisor"), "boot/xen-4.99.0.config": b"", "usr/local/sbin/xl": b"",
       "usr/local/sbin/xenstored": b"", "usr/local/sbin/xenconsoled": b"", "usr/local/lib/xen/bin/xen-init-dom0": b"",
       "usr/local/bin/xenstore-read": b"", "usr/local/lib/xen/boot/hvmloader": b"", "usr/local/lib/libxenlight.a": b"",
       "usr/local/lib/libxenlight.so.4.99.0": LIBXL, "usr/local/lib/libxenctrl.so.4.99.0": b"",
       "etc/bash_completion.d/xl": b"", "etc/xen/xl.conf": b"", "usr/include/xen/xen.h": b""}
PACKAGES = {"boot/xen": b"hypervisor", "lib64/libxenlight.so.4.99": LIBXL, "lib64/libxenctrl.so.4.99": b"",
            **{f"usr/libexec/xen/bin/{name}": b"" for name in dist.PROGRAMS}, "usr/libexec/xen/boot/hvmloader": b""}


def examine(files: dict[str, bytes], model: bool = False, bios: bool = True) -> tuple[dist.Dist | None, str, dict[str, bytes]]:
    """The tree of these files, or what is said of it; and the files that it gives to dom0."""
    with tempfile.TemporaryDirectory() as folder:
        top, dom0, qemu = Path(folder, "dist"), Path(folder, "dom0"), Path(folder, "qemu")
        for path, data in files.items():
            put(top / path, data)
        put(dom0 / "usr/lib/x86_64-linux-gnu/libxenctrl.so.4.20", b"")
        if bios:
            put(dom0 / "usr/share/seabios/bios-256k.bin", b"")
        if model:
            put(qemu, b"own")
        with mock.patch.dict(os.environ, XEN_DIST="/my/tree"):
            try:
                xen = dist.examine(dom0, top, qemu)
            except dist.Incomplete as error:
                return None, str(error), {}
            return xen, (xen and xen.note(dom0)) or "", contents(xen) if xen else {}


def put(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    if path.parent.name in ("bin", "sbin"):
        path.chmod(0o755)


def contents(xen: dist.Dist) -> dict[str, bytes]:
    entries: dict[str, bytes] = {}
    archive = Archive(io.BytesIO())
    with mock.patch.object(archive, "entry", lambda name, _mode, data=b"", *_: entries.update({name: data})):
        xen.write(archive)
    kernel = io.BytesIO()
    xen.write_hypervisor(kernel)
    return entries | {"xen": kernel.getvalue()}


def same(what: str, wanted: object, found: object) -> list[str]:
    return [] if wanted == found else [f"{what}: wanted {wanted!r}, found {found!r}"]


def without(*paths: str) -> dict[str, bytes]:
    return {path: data for path, data in OWN.items() if path not in paths}


def lacks() -> list[str]:
    problems = []
    for path in OWN:
        name = "boot/xen.gz" if path.endswith(".gz") else Path(path).name.partition(".so")[0]
        needed = name in (*dist.PROGRAMS, "boot/xen.gz", "hvmloader", "libxenlight", "libxenctrl") and "bash" not in path
        said = examine(without(path))[1]
        if needed != (f"/my/tree lacks {name}" in said and "install-tools" in said):
            problems.append(f"without {path}: {said}")
    both = examine(without("usr/local/sbin/xl", "usr/local/lib/xen/boot/hvmloader"))[1]
    return problems + same("two are named at once", True, "lacks hvmloader, xl: " in both)


def paths_of_libxl() -> list[str]:
    relative = OWN | {"usr/local/lib/libxenlight.so.4.99.0": LIBXL.replace(b"/usr/lib/xen/bin/qemu", b"qemu")}
    return (same("a device model without its path", True, "knows no device model" in examine(relative)[1])
            + same("no BIOS", True, "lacks usr/share/seabios/bios-256k.bin" in examine(OWN, bios=False)[1])
            + same("a BIOS of its own", "", examine(OWN | {"usr/share/seabios/bios-256k.bin": b""}, True, False)[1]))


def libraries() -> list[str]:
    """Of a program that is dynamic."""
    git = Path("/usr/bin/git").read_bytes()
    said = examine(OWN | {"usr/local/sbin/xl": git})[1]
    with_it = examine(OWN | {"usr/local/sbin/xl": git, "usr/local/lib/libz.so.1": b""})[1]
    return same("without", True, " libz.so.1" in said and "libc.so.6" in said) + same("with", False, "libz.so.1" in with_it)


def dom0_has() -> list[str]:
    own, said, files = examine(OWN, model=True)
    if not own:
        return [said]
    packages, _, other = examine(PACKAGES)
    return [*same("hypervisors", [b"hypervisor"] * 2, [files["xen"], other["xen"]]),
            *same("path", "/usr/local/sbin:/usr/local/lib/xen/bin:/usr/local/bin", own.path()),
            *same("libraries", "/usr/local/lib", own.libraries()),
            *same("path of packages", "/usr/libexec/xen/bin", packages and packages.path()),
            *same("libraries of packages", "/usr/lib64", packages and packages.libraries()),
            *same("under /lib64, a link there", [], [name for name in other if name.startswith("lib64")]),
            *same("what is for building", [], [name for name in files if "include" in name or name.endswith(".a")]),
            *same("configuration", True, "etc/xen/xl.conf" in files)]


def models() -> list[str]:
    place = "usr/lib/xen/bin/qemu-system-i386"
    cases = (("Debian's", (OWN, False), b"/" + dist.DEBIAN_MODEL.encode(), True),
             ("the tree's", (OWN | {place: b"tree"}, False), b"tree", False),
             ("one's own", (OWN | {place: b"tree"}, True), b"own", False),
             ("Debian's, for the same Xen", (OWN | {"usr/local/lib/libxenctrl.so.4.20": b""}, False),
              b"/" + dist.DEBIAN_MODEL.encode(), False))
    problems = []
    for what, arguments, wanted, noted in cases:
        _, note, files = examine(*arguments)
        data = b"/usr/share/qemu" if wanted == b"own" else None
        problems += same(f"firmware of {what}", data, files.get("usr/lib/xen/share/qemu"))
        problems += same(what, (wanted, noted), (files.get(place), "XEN_QEMU=FILE" in note))
    return problems


def keys() -> list[str]:
    """No image is taken for that of another tree, or of Debian."""
    names = set()
    for variables in ({"XEN_DIST": "", "XEN_QEMU": ""}, {"XEN_DIST": "/a"}, {"XEN_DIST": "/b"}, {"XEN_DIST": "/a", "XEN_QEMU": "/q"}):
        with mock.patch.dict(os.environ, {"XEN_DIST": "", "XEN_QEMU": ""} | variables):
            names |= {images.dom0(), str(images.hypervisor())}
    with tempfile.TemporaryDirectory() as folder:
        xen = dist.Dist(Path(folder), Path(folder), {}, "", None)
        before = xen.key()
        put(Path(folder, "usr/bin/xl"), b"")
        return same("names", 8, len(names)) + same("a key that changes with a file", True, xen.key() != before)


def refused(words: str, **variables: str) -> list[str]:
    ended = subprocess.run([VM / "sandbox", "true"], env=os.environ | {"XEN_DIST": "", "XEN_QEMU": ""} | variables,
                           capture_output=True, text=True, check=False)
    return same("exit status", 125, ended.returncode) + same(words, True, words in ended.stderr)


TESTS: dict[str, Callable[[], list[str]]] = {
    "what a tree lacks is named, and nothing else is wanted": lacks,
    "so are a device model and a BIOS that libxl would not find": paths_of_libxl,
    "so is a library that neither the tree nor dom0 has": libraries,
    "dom0 gets what it uses of a tree, whatever its layout": dom0_has,
    "the device model is the tree's, one's own or Debian's": models,
    "images of different trees have different names and keys": keys,
    "a directory that does not exist is refused": lambda: refused("XEN_DIST=/none: no such directory", XEN_DIST="/none"),
    "so is a device model that does not exist": lambda: refused("no such file", XEN_DIST="/usr", XEN_QEMU="/none"),
    "and one for Debian's Xen": lambda: refused("give XEN_DIST=, too", XEN_QEMU="/bin/true"),
}


if __name__ == "__main__":
    sys.exit(ktap.run(TESTS))
