#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Boot a Xen dom0 in an emulated machine and run a script in it as root.

Standard output is the script's alone, the exit status is the script's, and
125 means that the machine itself failed. Without a script: a shell in dom0.
Options are taken from the environment too, under the names in brackets.
"""

import argparse
import asyncio
import fcntl
import io
import json
import math
import os
import shlex
import shutil
import signal
import stat
import sys
import termios
import threading
import time
import tty
from dataclasses import dataclass
from pathlib import Path

import dist
import images
from cpio import Archive
from machine import CLOCKS, HANGS, Machine, Options
from zoo import Zoo, ZooFailed

HERE = Path(__file__).resolve().parent
TOP = HERE.parents[1]
BUILD = TOP / "build"
# Our modules, built for each kernel of dom0.
MODULES = {"stock": BUILD / "modules", "debug": BUILD / "debug_modules"}
VM_FAILED = 125
KEEP_RUNS = 20
SCRIPT, PROGRAM = stat.S_IFREG | 0o644, stat.S_IFREG | 0o755


class VmFailed(Exception):
    """The machine, not the script, failed; the text says how."""


class EmulatorFault(VmFailed):
    """A known fault of emulated nested SVM: worth another attempt."""


@dataclass
class Run:
    """One boot, and where the script's streams go."""

    arguments: argparse.Namespace
    folder: Path
    started: bool = False
    terminal: list | None = None
    zoo: Zoo | None = None

    async def boot(self) -> int:
        """Boot, run, and return the script's exit status."""
        arguments = self.arguments
        if arguments.zoo:
            self.zoo = Zoo(arguments.zoo.split(), self.folder / "zoo.log")
        with (self.folder / "console.log").open("ab") as log, initrd(arguments, self.interactive()) as image:
            machine = Machine(Options(arguments.dom0, arguments.nic != "none", arguments.qemu_args, arguments.xen_args,
                                      arguments.dom0_args, arguments.clock, arguments.smp, arguments.memory,
                                      arguments.dom0_memory, arguments.kernel),
                              log, self.zoo)
            try:
                if self.zoo:
                    await self.zoo.start()
                await machine.start(image.fileno())
                return await self.serve(machine)
            finally:
                await machine.stop()
                if self.zoo:
                    await self.zoo.stop()
                if self.terminal:
                    termios.tcsetattr(0, termios.TCSADRAIN, self.terminal)

    def interactive(self) -> bool:
        return not self.arguments.command and sys.stdin.isatty() and sys.stdout.isatty()

    async def serve(self, machine: Machine) -> int:
        """Carry bytes between the script and our own streams until it ends."""
        outputs = asyncio.gather(self.output(machine, "data", 1), self.output(machine, "errors", 2))
        control = asyncio.ensure_future(self.control(machine))
        console = asyncio.ensure_future(machine.watch_console())
        clock = asyncio.ensure_future(machine.watch_clock())
        limit = asyncio.ensure_future(machine.lasts(self.arguments.timeout or math.inf))
        await asyncio.wait((control, console, clock, limit), return_when=asyncio.FIRST_COMPLETED)
        if control.done():
            if (status := control.result()) is not None:
                # dom0 has sent everything before its status: it is in the sockets, which QEMU closes.
                await machine.qmp('{"execute": "quit"}')
                await asyncio.wait((outputs, limit), return_when=asyncio.FIRST_COMPLETED)
                return status
            # QEMU has gone.
            await console
        if fault := machine.emulator_fault():
            raise EmulatorFault(f"the emulator broke nested SVM ({fault})")
        if limit.done() and not console.done():
            raise VmFailed(f"no result within {self.arguments.timeout} s (TIMEOUT)" if limit.result() else
                           f"QEMU hangs: it used no processor for {HANGS} s")
        code = machine.process.returncode if machine.process else None
        raise VmFailed(machine.death() or f"QEMU ended by itself (status {code})")

    async def output(self, machine: Machine, channel: str, target: int) -> None:
        reader = machine.streams[channel][0]
        while data := await reader.read(65536):
            write_all(target, data)

    async def control(self, machine: Machine) -> int | None:
        """The conversation with dom0's init; ends with the script's status."""
        reader, writer = machine.streams["control"]
        while line := await reader.readline():
            verb, _, rest = line.decode(errors="replace").strip().partition(" ")
            match verb:
                case "up":
                    self.started = True
                    note(f"dom0 is up after {time.monotonic() - machine.began:.1f} s")
                    self.forward_input(machine)
                case "exit":
                    return int(rest)
                case "fail":
                    raise VmFailed(f"dom0: {rest}")
                case "qmp" | "zoo":
                    answer = await self.ask(machine, verb, rest)
                    writer.write(f"{'error' if 'error' in answer else 'ok'} {json_line(answer)}\n".encode())
        return None

    async def ask(self, machine: Machine, whom: str, request: str) -> dict:
        """Hand on a request of dom0's to the emulator or to the zoo."""
        if whom == "qmp":
            return await machine.qmp(request)
        return await self.zoo.ask(request) if self.zoo else {"error": "this machine has no zoo (ZOO)"}

    def forward_input(self, machine: Machine) -> None:
        """Send our standard input to dom0, byte for byte or in pieces with a length."""
        writer, loop, raw = machine.streams["data"][1], asyncio.get_running_loop(), self.interactive()
        if raw:
            # From now on Ctrl-C and the like are for dom0.
            self.terminal = termios.tcgetattr(0)
            tty.setraw(0)

        def pump() -> None:
            while True:
                data = os.read(0, 4096)
                piece = data if raw else b"%d\n" % len(data) + data
                loop.call_soon_threadsafe(writer.write, piece)
                if not data:
                    return

        threading.Thread(target=pump, daemon=True).start()


def json_line(answer: dict) -> str:
    return json.dumps(answer)


def write_all(target: int, data: bytes) -> None:
    while data:
        data = data[os.write(target, data):]


def note(text: str) -> None:
    print(f"vm: {text}", file=sys.stderr, flush=True)


def initrd(arguments: argparse.Namespace, interactive: bool):
    """dom0's image with what is ours appended, in memory: nothing to clean up."""
    file = os.fdopen(os.memfd_create("initrd"), "w+b")
    for name in (images.dom0(), images.modules(arguments.kernel)):
        with (images.IMAGES / name).open("rb") as image:
            while os.sendfile(file.fileno(), image.fileno(), None, 1 << 30):
                pass
    file.seek(0, os.SEEK_END)
    archive = Archive(file)
    archive.directories |= {"usr", "usr/local", "usr/local/bin", "root"}
    archive.add("init", PROGRAM, (HERE / "dom0/init").read_bytes())
    command = [] if interactive else arguments.command or ["sh"]
    if command and arguments.command:
        archive.add("root/script", PROGRAM, Path(command[0]).read_bytes())
        command = ["/root/script", *command[1:]]
    archive.add("vm/run", SCRIPT, (HERE / f"dom0/run-{'shell' if interactive else 'script'}").read_bytes())
    archive.add("vm/orders", SCRIPT, orders(arguments, command).encode())
    for folder, target in ((MODULES[arguments.kernel], "modules"), (BUILD / "bin", "usr/local/bin"),
                           (TOP / "selftests/dom0", "selftests/dom0"),
                           (TOP / "selftests/bench/dom0", "selftests/bench/dom0")):
        if folder.is_dir():
            archive.tree(target, folder)
    archive.file("vm/guest.py", HERE / "dom0/guest.py")
    for tool in ("guest-create", "guest-run", "guest-exec", "qmp"):
        archive.file(f"usr/local/bin/{tool}", HERE / "dom0" / tool)
    archive.file("usr/local/bin/zoo", HERE / "dom0/qmp")
    archive.add("boot/guest.cpio", SCRIPT, guest_image())
    archive.add("boot/vmlinuz", SCRIPT, images.vmlinuz("stock").read_bytes())
    archive.close()
    file.flush()
    return file


def guest_image() -> bytes:
    """The guest's initial file system with our init, modules and programs appended."""
    image = io.BytesIO()
    image.write((BUILD / "images/guest.cpio").read_bytes())
    archive = Archive(image)
    archive.file("init", HERE / "guest/init")
    if MODULES["stock"].is_dir():
        archive.tree("modules", MODULES["stock"])
    # Those without libraries.
    for program in sorted((BUILD / "bin").iterdir()):
        if program.name.startswith(("bind-", "hostile-", "map-")):
            archive.file(f"usr/bin/{program.name}", program)
    archive.close()
    return image.getvalue()


def orders(arguments: argparse.Namespace, command: list[str]) -> str:
    """The file that dom0's init reads."""
    xen = images.own_xen()
    values = {"DOM0": arguments.dom0, "PCIBACK": arguments.pciback, "PCIDEV": arguments.pcidev,
              "MODPROBE": arguments.modprobe, "COMMAND": shlex.join(command), "SIZE": "",
              "XEN_PATH": xen.path() if xen else "/usr/lib/xen-4.20/bin",
              "XEN_LIBRARIES": xen.libraries() if xen else ""}
    lines = [f"{name}={shlex.quote(value)}" for name, value in values.items()]
    if not command:
        size = os.get_terminal_size(1)
        lines.append(f"SIZE='rows {size.lines} cols {size.columns}' TERM={shlex.quote(os.environ.get('TERM', 'linux'))}")
        lines.append("export TERM")
    return "\n".join(lines) + "\n"


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)

    def option(name: str, default: str, text: str, choices: tuple[str, ...] | None = None, kind: type = str) -> None:
        variable = name.upper().replace("-", "_")
        value = os.environ.get(variable) or default
        parser.add_argument(f"--{name}", default=value, choices=choices, type=kind, help=f"{text} [{variable}]")

    option("dom0", "pvh", "kind of dom0; bare: the same kernel without Xen", ("pvh", "pv", "bare"))
    option("kernel", "stock", "dom0's kernel; debug: one that looks for bugs, much slower", tuple(images.KERNELS))
    option("pciback", "", "which xen-pciback to load; default: rust, ours, in a PVH dom0", ("stock", "rust", "none", ""))
    option("pcidev", "", "insert xen-pcidev.ko first; default: yes in a PVH dom0", ("yes", "no", ""))
    option("modprobe", "", "further modules to load")
    option("qemu-args", "", "added to the emulator's command line")
    option("zoo", "", "animals that the machine has, files of selftests/zoo/animals")
    option("dom0-args", "", "added to dom0's kernel command line")
    option("xen-args", "", "added to Xen's command line")
    parser.add_argument("--nic", default=os.environ.get("QEMU_NIC", ""), help="none: no e1000e in slot 4 [QEMU_NIC]")
    option("clock", "", "the machine's time; instructions: their number, which passes at once while all is idle; "
                        "default: instructions with a script and one processor, else host", (*CLOCKS, ""))
    # Emulated nested virtualization is more reliable with one, and hardly slower.
    option("smp", "1", "processors of the machine", kind=int)
    option("memory", "4096", "MiB of the machine", kind=int)
    option("dom0-memory", "2048", "MiB of dom0", kind=int)
    option("timeout", "0", "seconds for everything, of processor time if the clock counts instructions; "
                           "0: 900 with a script, none without", kind=int)
    option("attempts", "3", "boots at most, if the emulator breaks before the script runs", kind=int)
    parser.add_argument("command", nargs=argparse.REMAINDER, metavar="SCRIPT [ARG…]")
    arguments = parser.parse_args()
    arguments.pcidev = arguments.pcidev or ("yes" if arguments.dom0 == "pvh" else "no")
    arguments.pciback = arguments.pciback or ("rust" if arguments.dom0 == "pvh" else "stock")
    # Two would wait for each other by counting.
    arguments.clock = arguments.clock or ("instructions" if arguments.command and arguments.smp == 1 else "host")
    if not arguments.timeout and arguments.command:
        arguments.timeout = 900
    return arguments


def check(arguments: argparse.Namespace) -> None:
    """Say early what is missing."""
    if arguments.command and not Path(arguments.command[0]).is_file():
        raise VmFailed(f"no such script: {arguments.command[0]}")
    for wanted, module in ((arguments.pcidev == "yes", "xen-pcidev.ko"), (arguments.pciback == "rust", "xen-pciback.ko")):
        if wanted and not (MODULES[arguments.kernel] / module).exists():
            raise VmFailed(f"{module} is missing in {MODULES[arguments.kernel]}: run the set-up")


def new_folder() -> Path:
    """A directory for this run; the oldest ones of ended runs go."""
    runs = BUILD / "run"
    runs.mkdir(parents=True, exist_ok=True)
    for old in sorted((d for d in runs.iterdir() if d.is_dir()), key=lambda d: d.stat().st_mtime)[:-KEEP_RUNS]:
        if unused(old):
            shutil.rmtree(old, ignore_errors=True)
    folder = runs / f"{time.strftime('%Y%m%d-%H%M%S')}-{os.urandom(2).hex()}"
    folder.mkdir()
    lock = os.open(folder / "lock", os.O_CREAT | os.O_RDWR)	# held until we end
    fcntl.flock(lock, fcntl.LOCK_EX)
    return folder


def unused(folder: Path) -> bool:
    try:
        with (folder / "lock").open("r") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
    except FileNotFoundError:
        return True
    except BlockingIOError:
        return False


def end_of_console(folder: Path, lines: int = 25) -> str:
    text = (folder / "console.log").read_text(errors="replace").splitlines()
    return "\n".join(f"    {line}" for line in text[-lines:])


def attempts(arguments: argparse.Namespace) -> int:
    for attempt in range(1, arguments.attempts + 1):
        folder = new_folder()
        note(f"console: {folder.relative_to(TOP)}/console.log")
        run = Run(arguments, folder)
        try:
            return asyncio.run(run.boot())
        except EmulatorFault as fault:
            if run.started or attempt == arguments.attempts:
                raise
            note(f"{fault}: known, retried (attempt {attempt + 1} of {arguments.attempts})")
        except ZooFailed as failure:
            raise VmFailed(f"the zoo: {failure}") from None
        except VmFailed as failure:
            note(f"end of the console:\n{end_of_console(folder)}")
            raise VmFailed(f"{failure} (whole console: {folder.relative_to(TOP)}/console.log)") from None
    raise AssertionError


def main() -> int:
    arguments = parse()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        images.main({arguments.kernel})
        check(arguments)
        return attempts(arguments)
    except (VmFailed, dist.Incomplete) as failure:
        note(f"FAILED: {failure}")
        return VM_FAILED
    except KeyboardInterrupt:
        note("interrupted")
        return 130


if __name__ == "__main__":
    sys.stdout.flush()
    status = main()
    sys.stderr.flush()
    os._exit(status)	# a thread may still wait for input
