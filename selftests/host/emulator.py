#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Which ends of a machine are the emulator's fault, and are retried: those, and no others. Prints KTAP."""

import asyncio
import io
import itertools
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "vm"))

import ktap
import machine   # noqa: E402

TRIPLE_FAULT = """\
(XEN) d0v0 Triple fault - invoking HVM shutdown action 1
(XEN) *** Dumping Dom0 vcpu#0 state: ***
(XEN) ----[ Xen-4.20.4-pre  x86_64  debug=n  Not tainted ]----
(XEN) CPU:    0
(XEN) RIP:    e008:[<ffff82d0402a7b52>]
"""
NO_IDT = """\
[ 615.313] (XEN) d0v1 Triple fault - invoking HVM shutdown action 1
[ 615.313] (XEN) *** Dumping Dom0 vcpu#1 state: ***
[ 615.313] (XEN) RIP:    0010:[<ffffffff8133846e>]
[ 615.313] (XEN) RFLAGS: 0000000000000002   CONTEXT: hvm guest (d0v1)
[ 615.313] (XEN) cr3: 0000000018f86000   cr2: fffffe0000000080
"""
TWICE = """\
[  166.9] BUG: ENTRY_TRAMPOLINE stack guard page was hit at fffffe0000001ff8
[  166.9] RIP: 0010:irqentry_enter+0x15/0x80
[  166.9] RSP: 0000:fffffe0000002020 EFLAGS: 00000046
[  166.9] RIP: 0010:asm_sysvec_xen_hvm_callback+0x0/0x20
[  166.9] Code: 0f 1f 40 d6 f6 87 88 00 00 00
[  166.9] RSP: 0018:fffffe0000002fd8 EFLAGS: 00000046
"""


def fault(console: str) -> str | None:
    return machine.emulator_fault(console.encode())


def known() -> list[str]:
    later = TWICE.replace("callback+0x0/", "callback+0x7/").replace("00000046", "00010082")
    return [f"not known: {console}" for console in (TRIPLE_FAULT, NO_IDT, TWICE, later) if not fault(console)]


def others() -> list[str]:
    consoles = {
        "a triple fault in dom0's kernel": TRIPLE_FAULT.replace("e008:[<ffff82d0402a7b52>]", "0010:[<ffffffff81001948>]"),
        "a triple fault by a stack that is gone": NO_IDT.replace("fffffe0000000080", "ffffc900000f0dd0"),
        "a triple fault while interrupts are on": NO_IDT.replace("0000000000000002", "0000000000000202"),
        "an interrupt while interrupts are on": TWICE.replace("00000046", "00000246"),
        "a stack that was used up elsewhere": TWICE.replace("asm_sysvec_xen_hvm_callback", "asm_exc_page_fault"),
        "a panic of dom0": "Kernel panic - not syncing: Fatal exception in interrupt\n",
        "a panic of Xen": "(XEN) Panic on CPU 0:\n(XEN) Xen BUG at arch/x86/irq.c:1757\n",
    }
    return [f"taken for the emulator's: {what}" for what, console in consoles.items() if fault(console)]


class Clock(machine.Machine):
    """A machine that is nothing but its clock."""

    def __init__(self, times: Iterable[int]) -> None:
        super().__init__(machine.Options(), Path(), io.BytesIO())
        self.times = iter(times)

    async def qmp(self, request: str) -> dict:
        return {"return": "no registers"}

    async def time(self) -> int:
        return next(self.times)

    def stands(self) -> bool:
        """Whether that is told on the console, within a second."""
        machine.WATCHED = 0

        async def watch() -> None:
            async with asyncio.timeout(1):
                await self.watch_clock()

        try:
            asyncio.run(watch())
        except TimeoutError:
            pass
        return machine.emulator_fault(self.log.getvalue()) is not None


def clocks() -> list[str]:
    cases = (("a clock that stands is taken to move", [7, 50, 50], True),
             ("a clock that creeps is taken to move", [7, 50, 52], True),
             ("a clock that moves is taken to stand", itertools.count(0, 40), False),
             ("midnight is taken to stand", itertools.cycle([86390, 20, 40000]), False))
    return [what for what, times, stands in cases if Clock(times).stands() != stands]


TESTS: dict[str, Callable[[], list[str]]] = {
    "what the emulator does wrong is known": known,
    "no other end is taken for it": others,
    "a machine whose clock hardly moves is told": clocks,
}


if __name__ == "__main__":
    sys.exit(ktap.run(TESTS))
