#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Which ends of a machine are the emulator's fault, and are retried: those, no others, and not the host's. Prints KTAP."""

import asyncio
import io
import os
import socket
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

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
[  166.9]  sysvec_xen_hvm_callback+0xe/0x90
[  166.9]  asm_sysvec_xen_hvm_callback+0x1a/0x20
[  166.9] RIP: 0010:asm_sysvec_xen_hvm_callback+0x0/0x20
[  166.9] Code: 0f 1f 40 d6 f6 87 88 00 00 00
[  166.9] RSP: 0018:fffffe0000002fd8 EFLAGS: 00000046
"""


def fault(console: str) -> str | None:
    return machine.emulator_fault(console.encode())


def known() -> list[str]:
    later = TWICE.replace("callback+0x0/", "callback+0x7/").replace("00000046", "00010082")
    entry = TWICE.replace("0010:asm_sysvec_xen_hvm_callback+0x0/0x20", "0010:error_entry+0x31/0x120")
    return [f"not known: {console}" for console in (TRIPLE_FAULT, NO_IDT, TWICE, later, entry) if not fault(console)]


def others() -> list[str]:
    consoles = {
        "a triple fault in dom0's kernel": TRIPLE_FAULT.replace("e008:[<ffff82d0402a7b52>]", "0010:[<ffffffff81001948>]"),
        "a triple fault by a stack that is gone": NO_IDT.replace("fffffe0000000080", "ffffc900000f0dd0"),
        "a triple fault while interrupts are on": NO_IDT.replace("0000000000000002", "0000000000000202"),
        "an interrupt while interrupts are on": TWICE.replace("00000046", "00000246"),
        "a fault in an interrupt's entry": TWICE.replace(" asm_sysvec_xen_hvm_callback+0x1a", " asm_exc_page_fault+0x26"),
        "a stack that was used up elsewhere": TWICE.replace("asm_sysvec_xen_hvm_callback", "asm_exc_page_fault"),
        "a panic of dom0": "Kernel panic - not syncing: Fatal exception in interrupt\n",
        "a panic of Xen": "(XEN) Panic on CPU 0:\n(XEN) Xen BUG at arch/x86/irq.c:1757\n",
    }
    return [f"taken for the emulator's: {what}" for what, console in consoles.items() if fault(console)]


@dataclass
class Host:
    """A host of its own time, in which `share` of a processor is for QEMU."""

    share: float
    seconds: float = 0.0

    async def sleep(self, seconds: float) -> None:
        await REAL_SLEEP(0)
        self.seconds += seconds

    def processor_seconds(self, _pid: int) -> float:
        return self.share * self.seconds


class Simulated(machine.Machine):
    """A machine that is nothing but its clock, which moves so many seconds for each of the processor's.

    Its processor works, or spins but for every fifth time.
    """

    def __init__(self, host: Host, rate: float, began: int, works: bool) -> None:
        super().__init__(machine.Options(clock="instructions"), io.BytesIO())
        self.host, self.rate, self.start_of_day, self.works = host, rate, began, works
        self.process = mock.Mock(pid=0)
        self.asked = 0

    async def qmp(self, request: str) -> dict:
        self.asked += 1
        place = 0xffffffff8218d744 + (4096 * self.asked if self.works or self.asked % 5 == 0 else self.asked % 9)
        return {"return": f"CPU#0\r\nRBP=ffff888005d60ea8\r\nRIP={place:016x} RFL=00000002\r\n"}

    async def time(self) -> int:
        return int(self.start_of_day + self.rate * self.host.processor_seconds(0)) % 86400


REAL_SLEEP = asyncio.sleep
# Of the host.
HOURS = 5 * 3600


def stands(share: float, rate: float, began: int = 0, works: bool = False) -> bool:
    """Whether a machine is told to stand within hours."""
    host = Host(share)
    simulated = Simulated(host, rate, began, works)

    async def watch() -> None:
        watched = asyncio.ensure_future(simulated.watch_clock())
        while host.seconds < HOURS and not watched.done():
            await REAL_SLEEP(0)
        watched.cancel()

    with mock.patch("asyncio.sleep", host.sleep), \
            mock.patch.object(machine, "processor_seconds", host.processor_seconds):
        asyncio.run(watch())
    return machine.emulator_fault(simulated.log.getvalue()) is not None


def clocks() -> list[str]:
    cases = (("a clock that stands is taken to move", stands(1, 0), True),
             ("a clock that creeps is taken to move", stands(1, 2 / 120), True),
             ("so is one that creeps on a busy host", stands(1 / 3, 2 / 120), True),
             ("a clock that moves is taken to stand", stands(1, 0.3), False),
             ("midnight is taken to stand", stands(1, 0.3, 86390), False),
             ("a processor that works is taken to spin", stands(1, 2 / 120, works=True), False))
    return [what for what, found, wanted in cases if found != wanted]


def busy() -> list[str]:
    return [f"a machine that gets one processor of {number} is taken to stand"
            for number in (3, 10, 100) if stands(1 / number, 0.1)]


def ended(share: float, seconds: float) -> tuple[bool, int]:
    """Whether a machine lives for so many seconds, and after how many of the host that is known."""
    host = Host(share)
    simulated = Simulated(host, 1, 0, True)
    with mock.patch("asyncio.sleep", host.sleep), \
            mock.patch.object(machine, "processor_seconds", host.processor_seconds):
        lived = asyncio.run(simulated.lasts(seconds))
    return lived, round(host.seconds, -1)


def limits() -> list[str]:
    cases = (("alone", ended(1, 900), (True, 900)),
             ("on a busy host", ended(0.1, 900), (True, 9000)),
             ("by a QEMU that hangs", ended(0, 900), (False, machine.HANGS)))
    return [f"{what}: wanted (lived, seconds) {wanted}, found {found}" for what, found, wanted in cases if found != wanted]


def processor_time() -> list[str]:
    """What the kernel says of this process, two of whose threads work and one sleeps, is what Python says of it."""
    def work() -> None:
        while time.thread_time() < 0.3:
            pass

    threads = [threading.Thread(target=work), threading.Thread(target=work), threading.Thread(target=time.sleep, args=[0.3])]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    wanted, found = time.process_time(), machine.processor_seconds(os.getpid())
    return [] if abs(wanted - found) < 0.1 and found > 0.6 else [f"wanted {wanted:.2f} s, found {found:.2f}"]


def killed() -> list[str]:
    """What is answered for a QEMU that ends before it has read a command, and in the middle of its answer."""
    async def ask(said: bytes) -> dict:
        ours, its = socket.socketpair()
        qemu = machine.Machine(machine.Options(), io.BytesIO())
        qemu.streams["qmp"] = await asyncio.open_connection(sock=ours)
        answer = asyncio.ensure_future(qemu.qmp("{}"))
        await asyncio.sleep(0)
        its.send(said)
        its.close()
        return await answer

    answers = [asyncio.run(ask(said)) for said in (b"", b'{"event": 1}\n{"ret')]
    return [f"{answer}" for answer in answers if "QEMU has gone" not in str(answer.get("error"))]


TESTS: dict[str, Callable[[], list[str]]] = {
    "what the emulator does wrong is known": known,
    "no other end is taken for it": others,
    "a machine whose clock hardly moves is told": clocks,
    "a busy host is not taken for one": busy,
    "a machine has its time on a busy host, too": limits,
    "the processor time of a process is that of all its threads": processor_time,
    "an emulator that is killed is told": killed,
}


if __name__ == "__main__":
    sys.exit(ktap.run(TESTS))
