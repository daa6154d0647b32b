#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Which failures to create a guest are libxl's loss of a socket, and tried again: those, and no others. Prints KTAP."""

import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from unittest import mock

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "vm/dom0"))

import ktap
import guest   # noqa: E402

SAYS_LOST = """\
libxl: error: Domain 5:Failed to connect to QMP socket /run/xen/qmp-libxl-5: No such file or directory
"""
SAYS_REFUSED = SAYS_LOST.replace("No such file or directory", "Connection refused")
FINE = (0, "", "r-----")
LOST = (3, SAYS_LOST, "")
DIED = (3, SAYS_REFUSED, "")
# xl says why it could not unpause the guest, and succeeds.
LEFT_PAUSED = (0, SAYS_LOST, "--p---")
PAUSED_BY_OTHERS = (0, SAYS_REFUSED, "--p---")


def tries(*ends: tuple[int, str, str]) -> tuple[bool, int]:
    """Whether a guest was created by an xl that ends so each time (status, output, state), and after how many."""
    left = list(ends)
    states: list[str] = []

    def xl(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        status, said = 0, ""
        if command[1] == "create":
            status, said, state = left.pop(0)
            states[:] = [state] * bool(state)
        elif command[1] == "destroy":
            states.clear()
        elif states:
            said = f"Name   ID   Mem VCPUs\tState\tTime(s)\nthe p   5   127     1     {states[0]}       0.0\n"
        return subprocess.CompletedProcess(command, status, said)

    with tempfile.NamedTemporaryFile("w", suffix=".cfg") as config, \
            mock.patch.object(guest.subprocess, "run", xl), mock.patch.object(guest, "note"):
        config.write('type = "hvm"\nname = "the p"\n')
        config.flush()
        try:
            guest.xl_create(config.name)
            return states == ["r-----"], len(ends) - len(left)
        except guest.GuestFailed:
            return False, len(ends) - len(left)


def expect(*cases: tuple[tuple[bool, int], tuple[bool, int]]) -> list[str]:
    return [f"wanted (created, tries) {wanted}, found {found}" for found, wanted in cases if found != wanted]


TESTS: dict[str, Callable[[], list[str]]] = {
    "a socket that is gone is tried again": lambda: expect((tries(FINE), (True, 1)), (tries(LOST, FINE), (True, 2))),
    "also if xl has left the guest paused for it": lambda: expect((tries(LEFT_PAUSED, FINE), (True, 2))),
    "but not for ever": lambda: expect((tries(*[LOST] * guest.ATTEMPTS, FINE), (False, guest.ATTEMPTS)),
                                       (tries(*[LEFT_PAUSED] * guest.ATTEMPTS, FINE), (False, guest.ATTEMPTS))),
    "any other failure is one": lambda: expect((tries(DIED, FINE), (False, 1)), (tries(LOST, DIED, FINE), (False, 2)),
                                               (tries(PAUSED_BY_OTHERS, FINE), (False, 1))),
}


if __name__ == "__main__":
    sys.exit(ktap.run(TESTS))
