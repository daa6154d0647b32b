#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Which failures to create a guest are libxl's loss of a socket, and tried again: those, and no others. Prints KTAP."""

import sys
from collections.abc import Callable
from pathlib import Path
from unittest import mock

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "vm/dom0"))

import ktap
import guest   # noqa: E402

LOST = guest.GuestFailed("""\
xl create g.cfg: exit status 3
    libxl: error: Domain 5:Failed to connect to QMP socket /run/xen/qmp-libxl-5: No such file or directory
""")
DIED = guest.GuestFailed(str(LOST).replace("No such file or directory", "Connection refused"))
FINE = ""


def tries(*ends: str | Exception) -> tuple[bool, int]:
    """Whether a guest was created by an xl that ends so each time, and after how many."""
    with mock.patch.object(guest, "run", side_effect=ends) as xl, mock.patch.object(guest, "note"):
        try:
            guest.xl_create("g.cfg")
            return True, xl.call_count
        except guest.GuestFailed:
            return False, xl.call_count


def expect(*cases: tuple[tuple[bool, int], tuple[bool, int]]) -> list[str]:
    return [f"wanted (created, tries) {wanted}, found {found}" for found, wanted in cases if found != wanted]


TESTS: dict[str, Callable[[], list[str]]] = {
    "a socket that is gone is tried again": lambda: expect((tries(FINE), (True, 1)), (tries(LOST, FINE), (True, 2))),
    "but not for ever": lambda: expect((tries(*[LOST] * guest.ATTEMPTS, FINE), (False, guest.ATTEMPTS))),
    "any other failure is one": lambda: expect((tries(DIED, FINE), (False, 1)), (tries(LOST, DIED, FINE), (False, 2))),
}


if __name__ == "__main__":
    sys.exit(ktap.run(TESTS))
