#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Make the initial file systems: dom0's, the modules of its kernel, and the guest's.

They hold nothing that is ours: that is added at each boot (boot.py), so a
change of our code costs no new image. An image is made again only when what
it is made of has changed.
"""

import fcntl
import hashlib
import lzma
import shutil
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

import dist
import elf
from cpio import CONSOLE, Archive

BUILD = Path(__file__).resolve().parents[2] / "build"
DOM0, IMAGES = BUILD / "dom0", BUILD / "images"
# What dom0 can boot, as found in lib/modules. Guests boot the stock kernel.
KERNELS = {"stock": BUILD / "kernel/usr", "debug": BUILD / "debug"}

DRIVERS = ("e1000e", "igb", "igbvf", "nvme", "ahci", "sd_mod", "xhci-pci", "usb-storage", "virtio-net",
           "virtio_blk", "virtio_scsi", "uio_pci_generic", "vfio-pci")
GUEST_MODULES = DRIVERS + ("xen-evtchn", "xen-gntalloc", "xen-pcifront", "xen-privcmd")
DOM0_MODULES = DRIVERS + (
    "xen-acpi-processor", "xen-evtchn", "xen-gntalloc", "xen-gntdev", "xen-netback", "xen-pciback",
    "xen-privcmd", "xen-scsiback", "xenfs", "bridge", "tun", "loop", "pci-stub", "pci-pf-stub", "configfs",
    "ext4", "dm-mod",
    # For guests of pcidev try.
    "ne2k-pci", "e100")

# Of no use in dom0, and slow: Xen moves the image to another place, 20 MB in a second.
DOM0_SKIP = frozenset((
    "boot", "debs", "dev", "proc", "run", "sys", "tmp", "etc/apt", "var/cache", "var/lib/apt", "var/lib/dpkg",
    "var/log", "usr/bin/perl", "usr/bin/perl5.40.1", "usr/bin/sqv", "usr/lib/apt", "usr/lib/modules",
    "usr/lib/python3.13/ensurepip", "usr/lib/python3.13/idlelib", "usr/lib/python3.13/pydoc_data",
    "usr/lib/python3.13/test", "usr/lib/systemd", "usr/lib/udev",
    "usr/lib/x86_64-linux-gnu/gconv", "usr/lib/x86_64-linux-gnu/perl-base", "usr/lib/x86_64-linux-gnu/systemd",
    "usr/lib/xen-4.20/bin/oxenstored", "usr/lib/xen-4.20/boot/xen-shim",
    "usr/share/bash-completion", "usr/share/bug", "usr/share/doc", "usr/share/i18n", "usr/share/info",
    "usr/share/iso-codes", "usr/share/locale", "usr/share/man", "usr/share/perl5",
    "usr/share/qemu/openbios-ppc", "usr/share/qemu/openbios-sparc64", "usr/share/qemu/skiboot.lid",
    "usr/share/qemu/slof.bin", "usr/share/xml", "usr/share/zoneinfo"))

GUEST_PROGRAMS = ("bin/busybox", "usr/bin/lspci", "usr/bin/setpci", "usr/bin/kmod")


def main(kernels: set[str]) -> None:
    """Make what machines with these kernels boot."""
    need(DOM0 / "usr/bin", "setup")
    for kernel in ("stock", *kernels):
        need(KERNELS[kernel] / "lib/modules", "setup debug" if kernel == "debug" else "setup")
    IMAGES.mkdir(parents=True, exist_ok=True)
    with (IMAGES / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if xen := own_xen():
            if note := xen.note(DOM0):
                print(f"images: {note}", file=sys.stderr)
            make(hypervisor().name, xen.key(), xen.write_hypervisor)
        make(dom0(), fingerprint("stock") + (xen.key() if xen else ""), archived(write_dom0))
        make("guest.cpio", fingerprint("stock"), archived(write_guest))
        for kernel in sorted(kernels):
            make(modules(kernel), fingerprint(kernel),
                 archived(write_debug_modules if kernel == "debug" else write_stock_modules))


def own_xen() -> dist.Dist | None:
    return dist.examine(DOM0)


def variant() -> str:
    """Part of the names of images that are made for one Xen."""
    return f"-{hashlib.sha256(dist.name().encode()).hexdigest()[:8]}" if dist.name() else ""


def hypervisor() -> Path:
    return IMAGES / f"xen{variant()}" if dist.name() else BUILD / "xen"


def dom0() -> str:
    """The image that holds dom0's root file system."""
    return f"dom0{variant()}.cpio"


def modules(kernel: str) -> str:
    """The image that holds the modules of a kernel."""
    return f"modules-{kernel}.cpio"


def need(path: Path, remedy: str) -> None:
    if not path.exists():
        sys.exit(f"images: {path} is missing: run selftests/vm/{remedy}")


def make(name: str, inputs: str, write: Callable[[BinaryIO], None]) -> None:
    """Write an image unless the one there was made of the same things."""
    image, stamp = IMAGES / name, IMAGES / f".{name}.stamp"
    if image.exists() and stamp.exists() and stamp.read_text() == inputs:
        return
    began = time.monotonic()
    fresh = IMAGES / f".{name}.new"
    try:
        with fresh.open("wb") as out:
            write(out)
        stamp.unlink(missing_ok=True)
        fresh.rename(image)
        stamp.write_text(inputs)
    finally:
        fresh.unlink(missing_ok=True)
    size = image.stat().st_size >> 20
    print(f"images: {name}, {size} MiB, {time.monotonic() - began:.1f} s", file=sys.stderr)


def archived(fill: Callable[[Archive], None]) -> Callable[[BinaryIO], None]:
    def write(out: BinaryIO) -> None:
        archive = Archive(out)
        fill(archive)
        archive.close()
    return write


def fingerprint(kernel: str) -> str:
    """Changes when a package of dom0's chroot, the kernel or this recipe changes."""
    digest = hashlib.sha256()
    for source in (Path(__file__), Path(__file__).with_name("cpio.py"), Path(dist.__file__), DOM0 / "var/lib/dpkg/status"):
        digest.update(source.read_bytes())
    file = vmlinuz(kernel).stat()
    digest.update(f"{folder(kernel).name} {file.st_size} {file.st_mtime_ns}".encode())
    return digest.hexdigest()


def folder(kernel: str) -> Path:
    """lib/modules/RELEASE of a kernel."""
    return next((KERNELS[kernel] / "lib/modules").iterdir())


def vmlinuz(kernel: str) -> Path:
    return folder(kernel) / "vmlinuz"


def write_dom0(archive: Archive) -> None:
    xen = own_xen()
    archive.tree("", DOM0, DOM0_SKIP | debian_tools() if xen else DOM0_SKIP)
    if xen:
        xen.write(archive)
    for folder in ("dev", "proc", "run", "sys", "tmp", "var/log/xen/console"):
        archive.add(folder, stat.S_IFDIR | 0o755)
    archive.add("dev/console", stat.S_IFCHR | 0o600, device=CONSOLE)


def debian_tools() -> frozenset[str]:
    """All files of Debian's Xen but the libraries, which Debian's device model needs."""
    lists = [path for package in ("xen-utils-*", "xenstore-utils") for path in DOM0.glob(f"var/lib/dpkg/info/{package}.list")]
    paths = {line.lstrip("/") for path in lists for line in path.read_text().splitlines()}
    return frozenset(path for path in paths if not (DOM0 / path).is_dir())


def write_stock_modules(archive: Archive) -> None:
    add_modules(archive, DOM0_MODULES)


def write_debug_modules(archive: Archive) -> None:
    """All of them: it has few."""
    source = folder("debug")
    archive.tree(f"usr/lib/modules/{source.name}", source, frozenset(("vmlinuz",)))


def write_guest(archive: Archive) -> None:
    for folder in ("dev", "proc", "root", "run", "sys", "tmp", "usr/lib", "usr/bin"):
        archive.add(folder, stat.S_IFDIR | 0o755)
    for link in ("bin", "sbin", "usr/sbin"):
        archive.add(link, stat.S_IFLNK | 0o777, b"/usr/bin")
    for link in ("lib", "lib64"):
        archive.add(link, stat.S_IFLNK | 0o777, b"usr/lib")
    archive.add("dev/console", stat.S_IFCHR | 0o600, device=CONSOLE)
    programs = [DOM0 / program for program in GUEST_PROGRAMS]
    for program in programs:
        archive.add(f"usr/bin/{program.name}", stat.S_IFREG | 0o755, program.read_bytes())
    libraries, missing = elf.libraries(programs, [DOM0 / folder for folder in dist.LIBRARIES])
    if missing:
        sys.exit(f"images: {DOM0} has no {' '.join(missing)}")
    for library in libraries:
        archive.add(f"usr/lib/{library.name}", stat.S_IFREG | 0o755, library.read_bytes())
    for tool in ("modprobe", "insmod", "rmmod", "lsmod", "depmod", "modinfo"):
        archive.add(f"usr/bin/{tool}", stat.S_IFLNK | 0o777, b"kmod")
    add_modules(archive, GUEST_MODULES)


def add_modules(archive: Archive, names: tuple[str, ...]) -> None:
    """These modules of the stock kernel and all they need, unpacked (xz costs seconds when emulated)."""
    source = folder("stock")
    stage = IMAGES / ".modules"
    shutil.rmtree(stage, ignore_errors=True)
    target = stage / "lib/modules" / source.name
    try:
        for path in closure(source, names):
            copy = target / path.removesuffix(".xz")
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(lzma.decompress((source / path).read_bytes()))
        for listing in ("modules.builtin", "modules.builtin.modinfo", "modules.order"):
            shutil.copy(source / listing, target)
        subprocess.run(["depmod", "-b", stage, source.name], check=True)
        archive.tree("usr/lib/modules", stage / "lib/modules")
    finally:
        shutil.rmtree(stage, ignore_errors=True)


def closure(source: Path, names: tuple[str, ...]) -> list[str]:
    """Paths of the named modules and of those they depend on."""
    listing = subprocess.run(["depmod", "-n", "-b", source.parents[2], source.name],
                             check=True, capture_output=True, text=True).stdout
    needs: dict[str, list[str]] = {}
    for line in listing.splitlines():
        path, colon, rest = line.partition(":")
        if colon and path.startswith("kernel/"):
            needs[Path(path).name.split(".")[0].replace("-", "_")] = [path, *rest.split()]
    builtin = (source / "modules.builtin").read_text()
    wanted: dict[str, None] = {}
    for name in names:
        key = name.replace("-", "_")
        if key in needs:
            wanted.update(dict.fromkeys(needs[key]))
        elif f"/{key}.ko" not in builtin.replace("-", "_"):
            sys.exit(f"images: kernel {source.name} has no module {name}")
    return list(wanted)


if __name__ == "__main__":
    main({"stock"})
