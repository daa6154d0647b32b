#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Use the registers that every animal of the zoo has in a BAR (selftests/zoo/src/engine.rs).

zoo.py read SBDF BAR OFFSET         print a register of 32 bits
zoo.py write SBDF BAR OFFSET VALUE  write one
zoo.py dma SBDF BAR OFFSET          have the function write to a page of ours, registers at OFFSET;
                                    print what arrived: 0x600d, or 0 if nothing did
zoo.py fact FUNCTION NAME           print what the server counted, such as resets.flr
"""

import ctypes
import json
import mmap
import struct
import subprocess
import sys

ADDRESS, DATA, GO = 0x08, 0x10, 0x14


class Bar:
    """A BAR, mapped."""

    def __init__(self, sbdf: str, bar: int) -> None:
        with open(f"/sys/bus/pci/devices/{sbdf}/resource{bar}", "r+b") as file:
            self.map = mmap.mmap(file.fileno(), 0)

    def register(self, offset: int) -> ctypes.c_uint32:
        return ctypes.c_uint32.from_buffer(self.map, offset)


def physical(page: mmap.mmap) -> int:
    """The address of memory of ours as dom0's functions have it."""
    virtual = ctypes.addressof(ctypes.c_char.from_buffer(page))
    with open("/proc/self/pagemap", "rb") as file:
        file.seek(virtual // mmap.PAGESIZE * 8)
        entry, = struct.unpack("<Q", file.read(8))
    return (entry & (1 << 55) - 1) * mmap.PAGESIZE


def dma(bar: Bar, base: int) -> int:
    page = mmap.mmap(-1, mmap.PAGESIZE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | mmap.MAP_POPULATE)
    page[:4] = bytes(4)
    ctypes.CDLL(None).mlockall(3)
    address = physical(page)
    for offset, value in ((ADDRESS, address & 0xFFFFFFFF), (ADDRESS + 4, address >> 32), (DATA, 0x600D), (GO, 1)):
        bar.register(base + offset).value = value
    # A read comes back after what was written before.
    bar.register(base + GO).value
    return struct.unpack("<I", page[:4])[0]


def fact(function: str, name: str) -> object:
    request = json.dumps({"order": "facts", "function": function, "fact": name})
    return json.loads(subprocess.run(["zoo", request], check=True, stdout=subprocess.PIPE).stdout)["ok"][function]


def main() -> int:
    verb, *rest = sys.argv[1:]
    if verb == "fact":
        found = fact(*rest)
        print(str(found).lower() if isinstance(found, bool) else found)
        return 0
    bar, offset = Bar(rest[0], int(rest[1], 0)), int(rest[2], 0)
    match verb:
        case "read":
            print(f"{bar.register(offset).value:#x}")
        case "write":
            bar.register(offset).value = int(rest[3], 0)
        case "dma":
            print(f"{dma(bar, offset):#x}")
        case _:
            sys.exit(__doc__)
    return 0


if __name__ == "__main__":
    sys.exit(main())
