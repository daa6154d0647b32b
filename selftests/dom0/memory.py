#!/usr/bin/python3 -IS
# SPDX-License-Identifier: GPL-2.0
"""Read or write memory at a physical address.

memory.py ADDRESS LENGTH          print LENGTH bytes, in hexadecimal
memory.py ADDRESS write HEX       write these bytes
"""

import mmap
import os
import sys


def main(address: int, what: str, data: str = "") -> None:
    new = bytes.fromhex(data)
    length = len(new) if what == "write" else int(what, 0)
    offset = address % mmap.PAGESIZE
    file = os.open("/dev/mem", os.O_RDWR | os.O_SYNC)
    with mmap.mmap(file, offset + length, offset=address - offset) as memory:
        if what == "write":
            memory[offset:] = memory[offset:][length:] + new
        else:
            print(memory[offset:].hex())


main(int(sys.argv[1], 0), *sys.argv[2:])
