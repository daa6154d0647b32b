# SPDX-License-Identifier: GPL-2.0
"""The emulated machine: its command line, and QEMU running it.

Every unusual option is there because the stack does not come up without it.
"""

import asyncio
import contextlib
import ctypes
import json
import os
import re
import shlex
import signal
import socket
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import images
from zoo import Zoo

# Xen under emulation survives neither xsave and avx (its PVH guests see sizes that do not
# fit), nor rdtscp and monitor (TCG reports the wrong instruction, or none, on an intercept).
CPU = "EPYC,-xsave,-avx,-avx2,-xsavec,-xsaves,-xsaveopt,-xgetbv1,-fma,-f16c,-rdtscp,-monitor"
# Slot 4, as QEMU's device model takes an Intel device in slot 2 for a graphics card.
NIC = "-netdev user,id=n0 -device e1000e,netdev=n0,addr=4"
XEN = "console=com1 com1=115200,8n1 loglvl=all guest_loglvl=all iommu=verbose,debug spec-ctrl=no cpuidle=0"
# The kernel's tests of its cryptography are a tenth of its boot here.
LINUX = "mitigations=off quiet clocksource=xen tsc=reliable 8250.nr_uarts=4 cryptomgr.notests"

# Channels between the host and dom0 are further ISA serial ports: they add nothing to the
# PCI topology under test. The first port is Xen's and Linux' console.
PORTS = {"data": (0x2F8, 3), "errors": (0x3E8, 7), "control": (0x2E8, 15)}

# One that counts instructions, one in each nanosecond, and does not wait while there is nothing to do. Nothing
# times out since the host is busy; and QEMU's timers do not break into the processor from another thread,
# which is when it most often delivers an interrupt twice.
CLOCKS = {"host": [], "instructions": ["-icount", "shift=0,sleep=off", "-rtc", "clock=vm"]}

# Seconds of processor time in which such a clock has to move by how many, and what is logged if it does not. It moves
# by ten and more, on a host with three machines for each processor, too, unless a guest got an interrupt twice (below)
# and spins for a lock that it has: QEMU leaves its loop at each PAUSE, which makes less than three. If the host is itself
# a virtual machine that waits for its processors, its processor time passes, and nothing moves either. So most of the
# places where the machine's processor is must be within so many bytes, too.
WATCHED, MOVES, STANDS = 120, 4, b"\nvm: the machine's clock hardly moves\n"
PLACES, MOST, LOOP = 10, 8, 64
# Seconds of the host after which a QEMU that used no processor at all is taken to hang.
HANGS = 600

# The emulator itself breaks nested SVM now and then, in these ways:
EMULATOR_FAULTS = (
    # dom0's vcpu is left with Xen's own state.
    (re.compile(rb"d0v\d+ Triple fault.*Dumping Dom0 vcpu#\d+ state.*RIP:\s+e008:\[<ffff82d0", re.S),
     "d0v0 Triple fault inside Xen"),
    # dom0's kernel cannot read its IDT, a page that is always there, while it has EFLAGS.IF (0x200) clear. Seen with
    # the stock driver alone, too.
    (re.compile(rb"d0v\d+ Triple fault.*RIP:\s+0010:\[<ffffffff[89][^\n]*\n[^\n]*RFLAGS: [0-9a-f]{13}[014589cd]"
                rb".*cr2: fffffe0000000[0-9a-f]{3}\b", re.S), "dom0 without its IDT"),
    # An interrupt that Xen injects comes twice: QEMU's VMRUN delivers the vector and leaves it in
    # exception_index, so that a kick before the next VM exit delivers it again. It shows when the second
    # hits the first's entry, or the error_entry() that this calls: no processor takes an interrupt while
    # EFLAGS.IF (0x200) is clear.
    (re.compile(rb"ENTRY_TRAMPOLINE stack guard page was hit.*[^?] asm_sysvec_xen_hvm_callback\+[^\n]*\n"
                rb"[^\n]*RIP: 0010:(?:asm_sysvec_xen_hvm_callback|error_entry)\+0x[0-9a-f]+/"
                rb"(?:[^\n]*\n){2}[^\n]*EFLAGS: [0-9a-f]{5}[014589cd]", re.S),
     "an interrupt delivered twice"),
    (re.compile(rb"^" + STANDS.strip() + rb"$", re.M), "its clock hardly moves"),
)
DEATHS = (
    (re.compile(rb"Panic on CPU \d+:\s*(?:\(XEN\) )?([^\r\n]*)"), "Xen panicked"),
    (re.compile(rb"Kernel panic - not syncing: ([^\r\n]*)"), "dom0's kernel panicked"),
    (re.compile(rb"(Hardware Dom0 (?:crashed|shutdown|halted)[^\r\n]*)"), "dom0 ended"),
    (re.compile(rb"(d0v\d+ Triple fault[^\r\n]*)"), "dom0 crashed"),
)


@dataclass
class Options:
    """What a run may choose; the names are those of the make variables."""

    dom0: str = "pvh"
    nic: bool = True
    qemu_args: str = ""
    xen_args: str = ""
    dom0_args: str = ""
    clock: str = "host"
    smp: int = 1
    memory: int = 4096
    dom0_memory: int = 2048
    kernel: str = "stock"


@dataclass
class Machine:
    """One QEMU process with its channels."""

    options: Options
    log: BinaryIO
    zoo: Zoo | None = None
    began: float = field(default_factory=time.monotonic)
    console: bytearray = field(default_factory=bytearray)
    process: asyncio.subprocess.Process | None = None
    streams: dict[str, tuple[asyncio.StreamReader, asyncio.StreamWriter]] = field(default_factory=dict)
    asking: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def start(self, initrd: int) -> None:
        """Run QEMU; `initrd` is an open file that it reads before it answers."""
        theirs: list[socket.socket] = []
        arguments = self.arguments(initrd)
        for name in ("console", *PORTS, "qmp"):
            ours, other = socket.socketpair()
            self.streams[name] = await asyncio.open_connection(sock=ours, limit=1 << 20)
            theirs.append(other)
            arguments += ["-chardev", f"socket,id={name},fd={other.fileno()}"]
        arguments += ["-serial", "chardev:console", "-mon", "chardev=qmp,mode=control"]
        for name, (port, irq) in PORTS.items():
            arguments += ["-device", f"isa-serial,iobase={port:#x},irq={irq},chardev={name}"]
        self.log.write(f"# {shlex.join(arguments)}\n".encode())
        try:
            self.process = await asyncio.create_subprocess_exec(
                *arguments, stdin=asyncio.subprocess.DEVNULL, stdout=self.log, stderr=asyncio.subprocess.STDOUT,
                pass_fds=[initrd, *(other.fileno() for other in theirs)], preexec_fn=die_with_parent)
        finally:
            for other in theirs:
                other.close()
        await self.streams["qmp"][0].readline()
        await self.qmp('{"execute": "qmp_capabilities"}')

    def age(self) -> float:
        """Seconds that the machine has had.

        If its clock counts instructions, the processor time that QEMU got: a busy host only makes it slower. If its
        clock is the host's, so is its age.
        """
        if self.options.clock == "host":
            return time.monotonic() - self.began
        return processor_seconds(self.process.pid) if self.process else 0.0

    async def lasts(self, seconds: float) -> bool:
        """Return when the machine has had so many more seconds; false if QEMU hangs instead."""
        age = self.age()
        end, idle = age + seconds, 0.0
        while age < end and idle < HANGS:
            pause = min(max(end - age, 0.1), 10)
            await asyncio.sleep(pause)
            before, age = age, self.age()
            idle = 0.0 if age > before else idle + pause
        return age >= end

    def arguments(self, initrd: int) -> list[str]:
        options = self.options
        vmlinuz = images.vmlinuz(options.kernel)
        command = ["qemu-system-x86_64", "-machine", "q35,kernel-irqchip=split", "-accel", "tcg",
                   "-smp", str(options.smp), "-m", f"{options.memory}M", "-cpu", CPU,
                   "-display", "none", "-monitor", "none", "-parallel", "none", "-no-reboot",
                   "-device", "intel-iommu,intremap=on"]
        # Without this, QEMU adds a NIC of its own once we name none.
        command += shlex.split(NIC) if options.nic else ["-nic", "none"]
        command += shlex.split(options.qemu_args)
        command += self.zoo.arguments(options.memory) if self.zoo else []
        command += CLOCKS[options.clock]
        file = f"/proc/self/fd/{initrd}"
        if options.dom0 == "bare":
            return command + ["-kernel", str(vmlinuz), "-initrd", file,
                              "-append", f"console=ttyS0 {LINUX} {options.dom0_args}".replace("clocksource=xen ", "")]
        # QEMU splits modules at single commas.
        linux = f"{vmlinuz} console=hvc0 {LINUX} {options.dom0_args}".strip().replace(",", ",,")
        xen = f"dom0={options.dom0} dom0_mem={options.dom0_memory}M {XEN} {options.xen_args}".strip()
        return command + ["-kernel", str(images.hypervisor()), "-initrd", f"{linux},{file}", "-append", xen]

    async def qmp(self, request: str) -> dict:
        """Give QEMU one command; the answer has "return" or "error"."""
        reader, writer = self.streams["qmp"]
        # It may be killed before it reads the command, and in an answer.
        async with self.asking:
            with contextlib.suppress(ConnectionError):
                writer.write(request.encode() + b"\n")
                while (line := await reader.readline()).endswith(b"\n"):
                    answer = json.loads(line)
                    if "event" not in answer:
                        return answer
        return {"error": {"class": "GenericError", "desc": "QEMU has gone"}}

    async def watch_console(self) -> None:
        """Log the console until it ends or says why the machine died."""
        reader = self.streams["console"][0]
        fresh_line, dying = True, False
        while data := await reader.read(4096):
            self.console += data
            stamp = b"[%8.3f] " % (time.monotonic() - self.began)
            text = data.replace(b"\r", b"")
            self.log.write((stamp if fresh_line else b"") + text[:-1].replace(b"\n", b"\n" + stamp) + text[-1:])
            self.log.flush()
            fresh_line = text.endswith(b"\n")
            if not dying and self.death():
                # The next lines tell whether the emulator is to blame.
                dying = True
                asyncio.ensure_future(self.lasts(3)).add_done_callback(lambda _: reader.feed_eof())

    async def watch_clock(self) -> None:
        """Return when the machine's clock hardly moves, as its processor spins."""
        now, spins = await self.time(), False
        while not spins:
            if await self.lasts(WATCHED):
                before, now = now, await self.time()
                moved = (now - before) % 86400
                self.log.write(b"# clock: %d s in %d s of processor time\n" % (moved, WATCHED))
                spins = moved < MOVES and await self.spins()
        text = STANDS + "".join([await self.monitor("info registers"), await self.monitor("x /128gx $rsp")]).encode()
        self.console += text
        self.log.write(text)
        self.log.flush()

    async def spins(self) -> bool:
        """Whether the machine's processor stays in one short loop."""
        places = []
        for _ in range(PLACES):
            await self.lasts(1)
            found = re.search(r"\bRIP=([0-9a-f]+)", await self.monitor("info registers"))
            places.append(int(found[1], 16) if found else 0)
        self.log.write(f"# it is at {' '.join(f'{place:x}' for place in places)}\n".encode())
        return any(sum(0 <= place - first < LOOP for place in places) >= MOST for first in places)

    async def monitor(self, command: str) -> str:
        """What QEMU's monitor for people answers."""
        request = {"execute": "human-monitor-command", "arguments": {"command-line": command}}
        return str((await self.qmp(json.dumps(request))).get("return"))

    async def time(self) -> int:
        """What the machine's clock shows, in seconds of the day."""
        answer = await self.qmp('{"execute": "qom-get", "arguments": {"path": "/machine", "property": "rtc-time"}}')
        clock = answer.get("return", {})
        return 3600 * clock.get("tm_hour", 0) + 60 * clock.get("tm_min", 0) + clock.get("tm_sec", 0)

    def death(self) -> str | None:
        for pattern, what in DEATHS:
            if found := pattern.search(self.console):
                return f"{what}: {found[1].decode(errors='replace')}"
        return None

    def emulator_fault(self) -> str | None:
        return emulator_fault(self.console)

    async def stop(self) -> None:
        if self.process and self.process.returncode is None:
            self.process.kill()
            await self.process.wait()
        for _, writer in self.streams.values():
            writer.close()


def emulator_fault(console: bytes) -> str | None:
    """How the emulator, and nothing under test, broke; None if it is not to blame."""
    return next((what for pattern, what in EMULATOR_FAULTS if pattern.search(console)), None)


def processor_seconds(pid: int) -> float:
    """Processor time that a process used, in all its threads; 0 once it has gone."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return 0.0
    # The name of the program, in brackets, may hold anything. utime and stime are the 14th and 15th field of all.
    user, system = stat.rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


def die_with_parent() -> None:
    """No QEMU stays behind, however we end."""
    pr_set_pdeathsig = 1
    ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGKILL)
