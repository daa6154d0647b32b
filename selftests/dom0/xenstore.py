# SPDX-License-Identifier: GPL-2.0
"""XenStore, spoken to in its own protocol: starting a program for each word takes too long."""

import itertools
import os
import socket
import struct

HEADER = struct.Struct("=IIII")
DIRECTORY, READ, START, END, WRITE, REMOVE, ERROR = 1, 2, 6, 7, 11, 13, 16


class XenStore:
    """A connection to xenstored."""

    def __init__(self, path: str = "/run/xenstored/socket") -> None:
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(path)
        self.numbers = itertools.count(1)

    def call(self, kind: int, *words: str, transaction: int = 0, end: str = "\0") -> str:
        payload = ("\0".join(words) + end).encode()
        self.socket.sendall(HEADER.pack(kind, next(self.numbers), transaction, len(payload)) + payload)
        kind, _, _, length = HEADER.unpack(self.receive(HEADER.size))
        answer = self.receive(length).decode().removesuffix("\0")
        if kind == ERROR:
            raise FileNotFoundError(words[0]) if answer == "ENOENT" else OSError(f"XenStore: {words[0]}: {answer}")
        return answer

    def receive(self, length: int) -> bytes:
        data = b""
        while len(data) < length:
            data += self.socket.recv(length - len(data)) or os.abort()
        return data

    def read(self, node: str) -> str | None:
        try:
            return self.call(READ, node)
        except FileNotFoundError:
            return None

    def write(self, nodes: dict[str, str | int]) -> None:
        """All at once, as libxl does."""
        transaction = int(self.call(START, ""))
        for node, value in nodes.items():
            self.call(WRITE, node, str(value), transaction=transaction, end="")
        self.call(END, "T", transaction=transaction)

    def remove(self, node: str) -> None:
        try:
            self.call(REMOVE, node)
        except FileNotFoundError:
            pass
