# SPDX-License-Identifier: GPL-2.0
"""What a program does in dom0 without starting another one: modules, files of drivers and functions."""

import ctypes
import os
from pathlib import Path

LIBC = ctypes.CDLL(None, use_errno=True)
FINIT_MODULE, DELETE_MODULE = 313, 176
DEVICES = Path("/sys/bus/pci/devices")
PCIBACK = Path("/sys/bus/pci/drivers/pciback")
MODULES = {"xen_pcidev": "xen-pcidev", "xen_pciback": "xen-pciback"}


def system(number: int, *arguments: object) -> None:
    if LIBC.syscall(number, *arguments):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def put(name: str, text: str) -> None:
    """In one write, as the driver's files want it."""
    fd = os.open(PCIBACK / name, os.O_WRONLY)
    try:
        os.write(fd, text.encode())
    finally:
        os.close(fd)


def get(path: Path) -> str:
    return path.read_text().strip()


def is_loaded(module: str) -> bool:
    return Path("/sys/module", module).exists()


def insert(module: str, parameters: list[str] | None = None) -> None:
    with open(f"/modules/{MODULES[module]}.ko", "rb") as file:
        system(FINIT_MODULE, file.fileno(), " ".join(parameters or []).encode(), 0)


def remove(module: str) -> None:
    system(DELETE_MODULE, module.encode(), os.O_NONBLOCK)


def is_bound(function: str) -> bool:
    return (DEVICES / function / "driver").exists()


def state(function: str) -> str:
    try:
        return get(DEVICES / function / "pciback/state")
    except OSError:
        return "not bound"


def table(function: str) -> str:
    try:
        return get(DEVICES / function / "xen/msix")
    except OSError:
        return "unknown"


def registers(function: str) -> bytes:
    """The header, without STATUS, which changes by itself."""
    file = DEVICES / function / "config"
    try:
        header = bytearray(file.read_bytes()[:64])
    except OSError:
        # xen-pcidev has replaced the file since it was opened.
        header = bytearray(file.read_bytes()[:64])
    header[6:8] = b"\0\0"
    return bytes(header)
