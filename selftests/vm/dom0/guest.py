# SPDX-License-Identifier: GPL-2.0
"""Guests for tests: create one, run scripts in it, destroy it."""

import base64
import contextlib
import os
import re
import select
import subprocess
import sys
import termios
import time
import tty

FAILED = 125
STATE = "/run/guest"
BOOT_SECONDS = 400
SILENT_SECONDS = 90
ATTEMPTS = 3
READY = b"guest: ready"
# What libxl says if QEMU's socket is gone. It asks a first process of QEMU for its options, on the socket of the
# same name as the device model's. That process, if it ends late, removes the device model's.
LOST_SOCKET = re.compile("Failed to connect to QMP socket .*: No such file or directory")
# Without an emulated serial port, and trusting Xen's clock: anything else is many times slower here.
CMDLINE = ("console=hvc0 mitigations=off tsc=reliable clocksource=xen no_timer_check "
           "8250.nr_uarts=0 panic=-1 "
           # Start-up work that no test needs and that takes seconds here.
           "cryptomgr.notests rodata=off nokaslr "
           "initcall_blacklist=i8042_init,init_encrypted,mcheck_init_device")
# What the kinds of guests need besides. The last initcall reads a register that Xen does not let a PV guest have.
KINDS = {"hvm": 'vga = "none"\nvnc = 0', "pv": ""}
PV_CMDLINE = ",print_s5_reset_status_mmio"


class GuestFailed(Exception):
    """The guest, not what ran in it, failed."""


class GuestStuck(GuestFailed):
    """The guest's kernel stopped in the middle of its boot, as it does now and then in the emulator."""


def note(text: str) -> None:
    print(f"guest: {text}", file=sys.stderr, flush=True)


def run(command: list[str]) -> str:
    """Run a command that must succeed; its output is shown only if it does not."""
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True, errors="replace")
    if done.returncode:
        raise GuestFailed(f"{' '.join(command)}: exit status {done.returncode}\n{indent(done.stdout)}")
    return done.stdout


def make_assignable(device: str) -> None:
    bdf = device.partition(",")[0]	# options may follow
    if os.path.exists(f"/sys/bus/pci/drivers/pciback/{long_bdf(bdf)}"):
        note(f"{bdf} was assignable already")
    else:
        run(["xl", "pci-assignable-add", bdf])
        note(f"{bdf} made assignable")


def long_bdf(bdf: str) -> str:
    return bdf if bdf.count(":") == 2 else f"0000:{bdf}"


def create(name: str, kind: str, pci: list[str], cmdline: str, memory: int, vcpus: int, options: list[str]) -> None:
    os.makedirs(STATE, exist_ok=True)
    config = f"{STATE}/{name}.cfg"
    with open(config, "w", encoding="utf-8") as out:
        out.write(f'''type = "{kind}"
name = "{name}"
memory = {memory}
vcpus = {vcpus}
kernel = "/boot/vmlinuz"
ramdisk = "/boot/guest.cpio"
cmdline = "{CMDLINE}{PV_CMDLINE if kind == "pv" else ""} {cmdline}"
pci = [{", ".join(f'"{long_bdf(bdf)}"' for bdf in pci)}]
passthrough = "enabled"
{KINDS[kind]}
on_reboot = "destroy"
on_crash = "destroy"
{chr(10).join(options)}
''')
    with contextlib.suppress(FileNotFoundError):
        os.unlink(console_log(name))
    xl_create(config)


def xl_create(config: str) -> None:
    """Create the guest that a file describes, again if libxl loses its device model's socket."""
    for attempt in range(1, ATTEMPTS + 1):
        try:
            create_running(config)
            return
        except GuestFailed as failure:
            if not LOST_SOCKET.search(str(failure)) or attempt == ATTEMPTS:
                raise
            note(f"{config}: libxl has lost QEMU's socket: created anew (attempt {attempt + 1} of {ATTEMPTS})")


def create_running(config: str) -> None:
    """Create a guest. If xl cannot tell QEMU to go on, it leaves the guest paused, and succeeds: here that fails."""
    said = run(["xl", "create", config])
    with open(config, encoding="utf-8") as text:
        name = re.search('^\\s*name = "(.*)"', text.read(), re.M)
    if name and is_paused(name[1]):
        destroy(name[1])
        raise GuestFailed(f"xl create {config}: the guest is still paused\n{indent(said)}")


def is_paused(name: str) -> bool:
    """False, too, for a guest that is gone already."""
    listed = subprocess.run(["xl", "list", name], capture_output=True, text=True, errors="replace")
    return any(line.split()[-2][2:3] == "p" for line in listed.stdout.splitlines()[1:])


def bring_up(name: str, kind: str, pci: list[str], cmdline: str, memory: int, vcpus: int,
             options: list[str]) -> float:
    """Create a guest, again if its kernel gets stuck, and wait until it is up; returns when it was begun."""
    for attempt in range(1, ATTEMPTS + 1):
        began = time.monotonic()
        create(name, kind, pci, cmdline, memory, vcpus, options)
        try:
            wait_until_up(name)
            return began
        except GuestStuck as stuck:
            if attempt == ATTEMPTS:
                raise
            note(f"{name}: {stuck}: created anew (attempt {attempt + 1} of {ATTEMPTS})")
            destroy(name)


def wait_until_up(name: str) -> None:
    """Wait until the guest's init has said on the console that it listens."""
    began = said_something = time.monotonic()
    said = b""
    while READY not in said:
        now = time.monotonic()
        before, said = said, read_console(name)
        if said != before:
            said_something = now
        if now > said_something + SILENT_SECONDS:
            raise GuestStuck(f"its kernel has said nothing for {SILENT_SECONDS} s of its boot")
        if now > began + BOOT_SECONDS:
            raise GuestFailed(f"the guest has not come up within {BOOT_SECONDS} s")
        time.sleep(0.1)


def console_log(name: str) -> str:
    return f"/var/log/xen/console/guest-{name}.log"


def read_console(name: str) -> bytes:
    try:
        with open(console_log(name), "rb") as log:
            return log.read()
    except FileNotFoundError:
        return b""


class Channel:
    """The way to a guest's init: its console. Linux is silent there once init listens."""

    def __init__(self, name: str) -> None:
        self.pending = b""
        self.end = 0.0
        number = run(["xl", "domid", name]).strip()
        path = run(["xenstore-read", f"/local/domain/{number}/console/tty"]).strip()
        try:
            self.file = os.open(path, os.O_RDWR | os.O_NOCTTY)
            tty.setraw(self.file)
        except (OSError, termios.error) as error:
            raise GuestFailed(f"no console of {name} to talk to: {path}: {error}") from None

    def send(self, data: bytes) -> None:
        write(self.file, data)

    def limit(self, seconds: float) -> None:
        self.end = time.monotonic() + seconds

    def receive(self, what: str) -> None:
        if not select.select([self.file], [], [], max(0.0, self.end - time.monotonic()))[0]:
            raise GuestFailed(f"timeout: {what}")
        try:
            data = os.read(self.file, 65536)
        except OSError:
            data = b""
        if not data:
            raise GuestFailed("the guest has gone")
        self.pending += data

    def until(self, mark: bytes, what: str, target: int | None = None) -> None:
        """Write all that comes before the mark."""
        while mark not in self.pending:
            # The end may be the beginning of a mark.
            ready = max(0, len(self.pending) - len(mark) + 1)
            write(target, self.pending[:ready])
            self.pending = self.pending[ready:]
            self.receive(what)
        before, _, self.pending = self.pending.partition(mark)
        write(target, before)

    def line(self, what: str) -> str:
        while b"\n" not in self.pending:
            self.receive(what)
        line, _, self.pending = self.pending.partition(b"\n")
        return line.decode()

    def take(self, length: int, what: str) -> bytes:
        while len(self.pending) < length:
            self.receive(what)
        return self.pending[:length]


def write(target: int | None, data: bytes) -> None:
    while target is not None and data:
        data = data[os.write(target, data):]


def execute(name: str, script: bytes, arguments: list[str], seconds: int) -> int:
    """Run a script in the guest, its streams on ours, and return its exit status."""
    wait_until_up(name)
    mark = os.urandom(16).hex().encode()
    # The dash keeps an empty argument a word.
    words = [base64.b64encode(script), *(b"-" + base64.b64encode(word.encode()) for word in arguments)]
    channel = Channel(name)
    channel.send(b" ".join([mark, *words]) + b"\n")
    channel.limit(BOOT_SECONDS)
    channel.until(mark + b"\n", f"the guest does not answer within {BOOT_SECONDS} s")
    late = f"the script has not ended within {seconds} s"
    channel.limit(seconds)
    channel.until(mark, late, target=1)
    status, length = channel.line(late).split()
    write(2, channel.take(int(length), late))
    return int(status)


def destroy(name: str) -> None:
    run(["xl", "destroy", name])


def clean_up(name: str) -> None:
    """Destroy what there may be of a failed guest."""
    subprocess.run(["xl", "destroy", name], stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)


def show_evidence(name: str) -> None:
    """What tells why a guest failed."""
    for log in (f"/var/log/xen/qemu-dm-{name}.log", console_log(name)):
        try:
            with open(log, encoding="utf-8", errors="replace") as text:
                lines = text.read().splitlines()[-20:]
        except OSError as error:
            lines = [error.strerror]
        note(f"end of {log}:\n{indent(chr(10).join(lines))}")


def indent(text: str) -> str:
    return "".join(f"    {line}\n" for line in text.splitlines()).rstrip("\n")
