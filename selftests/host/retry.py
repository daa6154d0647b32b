#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""What is run and counted of a boot, also if the emulator breaks in the middle of it. Prints KTAP."""

import asyncio
import contextlib
import io
import sys
from collections.abc import Callable
from pathlib import Path
from unittest import mock

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "vm"))

import ktap
import test   # noqa: E402
from plan import Boot   # noqa: E402
from suite import Suite   # noqa: E402

FAULT = "the clock hardly moves"
FIRST = ["    # Subtest: first", "    1..2", "    ok 1 a", "    not ok 2 b", "not ok 1 first"]
SECOND = ["    # Subtest: second", "    1..3", "    # tried: 7 writes", "    ok 1 c", "    not ok 2 d", "    ok 3 e", "ok 2 second"]
BREAKS = SECOND[:5]
SKIPS = ["    # Subtest: second", "    1..0 # SKIP no card", "ok 2 second # SKIP no card"]


def run(*attempts: tuple[int, list[str]], fault: str | None = FAULT, fails: tuple[str, ...] = ("second: d",),
        may_skip: tuple[str, ...] = ()) -> tuple[list[list[str]], tuple[int, int, int], str]:
    """A boot whose attempts end so (status, output): what each ran, passed, failed, rows of the table, and all that is shown."""
    ran: list[list[str]] = []

    async def stream(suite: Suite, command: list[str]) -> tuple[int, list[str]]:
        ran.append(Path(command[-1]).read_text(encoding="utf-8").split("/run ")[1].split())
        status, lines = attempts[len(ran) - 1]
        for line in lines:
            suite.feed(line)
        return status, ["vm: console: log"]

    boot = Boot("boot", ["first", "second"], list(fails), list(may_skip), "", "", {})
    with mock.patch.object(test, "stream", stream), mock.patch.object(test, "emulator_fault", lambda _: fault), \
            mock.patch.object(Path, "read_bytes", lambda _: b""), contextlib.redirect_stdout(io.StringIO()) as shown:
        count = asyncio.run(test.run_boot(boot))
    return ran, (count.passed, count.failed, len(count.tried)), shown.getvalue()


def expect(found: tuple, ran: list[list[str]], counts: tuple[int, int, int]) -> list[str]:
    return [] if found[:2] == (ran, counts) else [f"wanted (ran, passed and failed and tried) {(ran, counts)}, found {found}"]


BOTH = ["first", "second"]
VM = test.VM_FAILED
TESTS: dict[str, Callable[[], list[str]]] = {
    # b fails; d has to.
    "all tests of a boot are run and counted": lambda: expect(run((1, FIRST + SECOND)), [BOTH], (4, 1, 1)),
    "after a break those that have not ended are run again, and nothing counts twice": lambda: expect(
        run((VM, FIRST + BREAKS), (VM, BREAKS), (0, SECOND)), [BOTH, ["second"], ["second"]], (4, 1, 1)),
    "after a break at the end none is": lambda: expect(run((VM, FIRST + SECOND)), [BOTH], (4, 1, 1)),
    "what always breaks fails": lambda: expect(
        run((VM, FIRST), *[(VM, BREAKS)] * 7), [BOTH, *[["second"]] * 7], (3, 2, 1)),
    "a test that skips all of it fails": lambda: expect(run((1, FIRST + SKIPS), fails=()), [BOTH], (1, 2, 0)),
    "but not where it may": lambda: expect(run((1, FIRST + SKIPS), fails=(), may_skip=("second",)), [BOTH], (1, 1, 0)),
    "a break of another kind fails at once": lambda: expect(run((VM, FIRST + BREAKS), fault=None), [BOTH], (3, 2, 1)),
}


if __name__ == "__main__":
    sys.exit(ktap.run(TESTS))
