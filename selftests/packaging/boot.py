#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Boot a Debian system from a disk, as dom0, and print what it reports of itself.

The disk is made of a directory, less what is only for building, and is written to
by nobody else. The report is what /root/report prints when the system is up; the
system then switches itself off.
"""

import argparse
import asyncio
import re
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import BinaryIO

TOP = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(TOP / "selftests/vm"))
import machine

ATTEMPTS = 3
NOT_ON_DISK = ("proc/*", "dev/*", "sys/*", "src/*", "tmp/*", "test", "usr/src", "usr/lib/llvm-*", "usr/lib/rustlib",
               "usr/lib/gcc", "usr/lib/x86_64-linux-gnu/libLLVM*", "usr/lib/x86_64-linux-gnu/librustc*",
               "usr/lib/x86_64-linux-gnu/libclang*", "usr/share/doc", "var/cache/*", "var/lib/apt/*")
UNIT = """[Unit]
After=multi-user.target
[Service]
Type=oneshot
ExecStart=/bin/sh -c "exec /bin/sh /root/report >/dev/console 2>&1"
ExecStart=/usr/bin/systemctl poweroff --force
[Install]
WantedBy=multi-user.target
"""


def make_disk(root: Path, disk: Path, report: Path) -> None:
    """An ext4 file system on a disk without partitions."""
    with tempfile.TemporaryDirectory(dir=disk.parent) as staged:
        skip = [f"--exclude=./{pattern}" for pattern in NOT_ON_DISK]
        tar = subprocess.Popen(["tar", "-C", root, "--one-file-system", *skip, "-c", "."], stdout=subprocess.PIPE)
        subprocess.run(["tar", "-C", staged, "-x"], stdin=tar.stdout, check=True)
        if tar.wait():
            sys.exit(f"boot: cannot read {root}")
        top = Path(staged)
        for mount in ("dev", "proc", "run", "sys", "tmp"):
            (top / mount).mkdir(exist_ok=True)
        (top / "root/report").write_bytes(report.read_bytes())
        (top / "etc/systemd/system/report.service").write_text(UNIT, encoding="utf-8")
        # Nothing is new to systemd, which would rebuild caches for minutes.
        for updated in ("etc/.updated", "var/.updated"):
            (top / updated).touch()
        # Nobody logs in, and it would be waited for.
        (top / "etc/systemd/system/serial-getty@hvc0.service").symlink_to("/dev/null")
        wants = top / "etc/systemd/system/multi-user.target.wants"
        wants.mkdir(parents=True, exist_ok=True)
        (wants / "report.service").symlink_to("../report.service")
        subprocess.run(["mke2fs", "-q", "-t", "ext4", "-d", staged, disk, "3G"], check=True)


class System(machine.Machine):
    """A machine that boots from a disk."""

    def __init__(self, arguments: argparse.Namespace, disk: Path, log: BinaryIO) -> None:
        super().__init__(machine.Options(clock="instructions"), log)
        self.chosen, self.disk = arguments, disk

    def arguments(self, initrd: int) -> list[str]:
        chosen = self.chosen
        kernel = chosen.root / f"boot/vmlinuz-{chosen.kernel}"
        linux = f"{kernel} console=hvc0 root=/dev/sda rw systemd.show_status=auto {machine.LINUX}"
        xen = f"dom0={chosen.dom0} dom0_mem=2048M {machine.XEN}"
        return ["qemu-system-x86_64", "-machine", "q35,kernel-irqchip=split", "-accel", "tcg", "-m", "4096M",
                "-cpu", machine.CPU, *machine.CLOCKS[self.options.clock], "-display", "none", "-monitor", "none",
                "-no-reboot", "-snapshot", "-device", "intel-iommu,intremap=on", *shlex.split(machine.NIC),
                "-device", "e1000e,addr=5",
                "-drive", f"file={self.disk},format=raw,if=none,id=disk", "-device", "ide-hd,drive=disk",
                "-kernel", str(TOP / "build/xen"),
                "-initrd", f"{linux},/proc/self/fd/{initrd}", "-append", xen]

    async def run(self) -> None:
        """Until the machine ends, stands or is out of time."""
        try:
            with self.chosen.initrd.open("rb") as initrd:
                await self.start(initrd.fileno())
            limit = asyncio.ensure_future(self.lasts(self.chosen.timeout))
            watches = [asyncio.ensure_future(watch) for watch in (self.watch_console(), self.watch_clock())]
            await asyncio.wait((limit, *watches), return_when=asyncio.FIRST_COMPLETED)
            if limit.done():
                print(f"boot: no end within {self.chosen.timeout} s: {self.log.name}", file=sys.stderr)
        finally:
            await self.stop()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dom0", choices=("pvh", "pv"), default="pvh")
    parser.add_argument("--timeout", type=int, default=900, help="seconds of processor time")
    parser.add_argument("root", type=Path)
    parser.add_argument("kernel")
    parser.add_argument("initrd", type=Path)
    parser.add_argument("report", type=Path)
    arguments = parser.parse_args()
    log = TOP / f"build/log/packaging-boot-{arguments.dom0}-{arguments.initrd.name}.log"
    with tempfile.TemporaryDirectory(dir=TOP / "build") as folder:
        disk = Path(folder) / "disk.img"
        make_disk(arguments.root, disk, arguments.report)
        for _ in range(ATTEMPTS):
            with log.open("wb") as file:
                system = System(arguments, disk, file)
                asyncio.run(system.run())
            if not (fault := system.emulator_fault()):
                break
            print(f"boot: the emulator broke nested SVM ({fault}): known, retried", file=sys.stderr)
    lines = re.findall(rb"report: ([^\r\n]*)", system.console)
    for line in lines:
        print(line.decode(errors="replace"))
    return 0 if lines else 1


if __name__ == "__main__":
    sys.exit(main())
