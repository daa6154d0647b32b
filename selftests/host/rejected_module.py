#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Which failures to load a module are the emulator's, and tried again: those, and no others. Prints KTAP."""

import contextlib
import io
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

SELFTESTS = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(SELFTESTS / "vm"))

import ktap
import suite   # noqa: E402

REJECTED = "modprobe: can't load module e1000e (kernel/e1000e.ko): Key was rejected by service"
INVALID = "modprobe: can't load module e1000e (kernel/e1000e.ko): Invalid argument"
FINE = ""
# Says, and fails with, the next line of the file beside it.
MODPROBE = """#!/bin/sh
cd "${0%/*}"
echo "$*" >>asked
said=$(sed -n "$(wc -l <asked)p" ends)
[ -z "$said" ] || { echo "$said" >&2; exit 1; }
"""


def run(script: str, *ends: str) -> tuple[subprocess.CompletedProcess[str], int]:
    """A script whose modprobe ends so each time; and how often it was tried."""
    with tempfile.TemporaryDirectory() as folder:
        modprobe, asked = Path(folder, "modprobe"), Path(folder, "asked")
        modprobe.write_text(MODPROBE)
        modprobe.chmod(0o755)
        Path(folder, "ends").write_text("".join(f"{end}\n" for end in ends))
        script = f". {SELFTESTS}/dom0/ktap.sh; . {SELFTESTS}/dom0/modprobe; PATH={folder}:$PATH; {script}"
        ended = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=False)
        tries = asked.read_text().splitlines()
        assert set(tries) == {"e1000e IntMode=1"}
        return ended, len(tries)


def loads(*ends: str) -> tuple[bool, int, bool]:
    """Whether the module was loaded in the end, after how many tries, and whether that was told."""
    ended, tries = run("modprobe e1000e IntMode=1", *ends)
    return not ended.returncode, tries, "known: " in ended.stderr


def told() -> list[str]:
    """A point of a test that loads a module: is a second try still told when the run shows it?"""
    ended, _ = run("check 'a NIC' modprobe e1000e IntMode=1", REJECTED, FINE)
    stream = suite.Suite("guest")
    with contextlib.redirect_stdout(io.StringIO()) as shown:
        for line in ended.stdout.splitlines():
            stream.feed(line)
    text = shown.getvalue()
    return [] if text.startswith("ok ") and "known: " in text else [f"not told: {text}"]


def expect(*cases: tuple[tuple[bool, int, bool], tuple[bool, int, bool]]) -> list[str]:
    return [f"wanted (loaded, tries, told) {wanted}, found {found}" for found, wanted in cases if found != wanted]


TESTS: dict[str, Callable[[], list[str]]] = {
    "a signature found wrong is looked at again": lambda: expect(
        (loads(FINE), (True, 1, False)), (loads(REJECTED, FINE), (True, 2, True))),
    "once": lambda: expect((loads(REJECTED, REJECTED, FINE), (False, 2, False))),
    "any other failure is one": lambda: expect(
        (loads(INVALID, FINE), (False, 1, False)), (loads(REJECTED, INVALID), (False, 2, False))),
    "a second try is told by the run": told,
}


if __name__ == "__main__":
    sys.exit(ktap.run(TESTS))
