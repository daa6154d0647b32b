#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Measure the stock driver and ours in emulated machines, and report.

../vm/bench.toml says which machine is booted for which measures. Their samples
go to build/bench/samples/, one file for each boot, and from there to report.py.
"""

import argparse
import asyncio
import fnmatch
import os
import re
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "vm"), str(HERE)]

import report   # noqa: E402
from machine import emulator_fault   # noqa: E402
from plan import OPTIONS, Boot, read_plan   # noqa: E402
from test import ATTEMPTS, TOP, VM_FAILED, prepare, stream   # noqa: E402

FOLDER = TOP / "build/bench"
SAMPLES = FOLDER / "samples"


class Output:
    """What a boot says: kept, and shown but for the samples, which are counted."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.lines: list[str] = []
        self.count = 0

    def feed(self, line: str) -> None:
        line = line.rstrip("\n")
        self.lines.append(line)
        if line.startswith("sample "):
            self.count += 1
        elif line.startswith("#"):
            self.say(line.lstrip("# "))

    def say(self, text: str) -> None:
        print(f"{self.name}: {text} ({self.count} samples)", flush=True)


def ports(number: int) -> str:
    """Root ports, eight to a slot, with eight functions each."""
    words = []
    for port in range(number):
        words.append(f"-device pcie-root-port,id=port{port},chassis={port + 1},slot={port + 1},multifunction=on,"
                     f"addr={8 + port // 8:#x}.{port % 8}")
        words += [f"-device virtio-rng-pci,vectors=0,multifunction=on,bus=port{port},addr=0.{function}"
                  for function in range(8)]
    return " ".join(words)


def machine(boot: Boot) -> Boot:
    """With the ports that its entry only counts."""
    options = dict(boot.options)
    if "qemu_args" in options:
        options["qemu_args"] = re.sub(r"\bPORTS=(\d+)", lambda found: ports(int(found[1])), str(options["qemu_args"]))
    return replace(boot, options=options)


async def run_boot(boot: Boot, quick: bool) -> bool:
    """Measure in one machine, again in another one if the emulator broke down; whether all went well."""
    began = time.monotonic()
    setting = "export BENCH_QUICK=yes\n" if quick else ""
    for attempt in range(1, ATTEMPTS + 1):
        output = Output(boot.name)
        with tempfile.NamedTemporaryFile("w", encoding="utf-8") as script:
            script.write(f"#!/bin/sh\n{setting}{boot.before}\nexec /selftests/bench/dom0/run {' '.join(boot.tests)}\n")
            script.flush()
            status, errors = await stream(output, boot.command(Path(script.name)))
        consoles = [line.rpartition(" ")[2] for line in errors if line.startswith("vm: console: ")]
        if status == VM_FAILED and attempt < ATTEMPTS and consoles and (
                fault := emulator_fault((TOP / consoles[-1]).read_bytes())):
            output.say(f"the emulator broke ({fault}): known, measured again")
            continue
        break
    (SAMPLES / f"{boot.name}.txt").write_text("\n".join(output.lines) + "\n", encoding="utf-8")
    if status:
        output.say("\n".join(["failed", *errors[-30:], f"exit status {status}"]))
    output.say(f"done in {time.monotonic() - began:.0f} s")
    return status == 0


async def run_all(boots: list[Boot], jobs: int, quick: bool) -> bool:
    await prepare({str(boot.options.get("kernel", "stock")) for boot in boots})
    places = asyncio.Semaphore(jobs)

    async def in_turn(boot: Boot) -> bool:
        async with places:
            return await run_boot(boot, quick)

    return all(await asyncio.gather(*(in_turn(boot) for boot in boots)))


def about() -> str:
    """The machine around the emulated ones."""
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        model = next((line.partition(":")[2].strip() for line in file if line.startswith("model name")), "unknown")
    manifest = (TOP / "build/tools.manifest").read_text(encoding="utf-8").splitlines()
    qemu = next(line.split()[1] for line in manifest if line.startswith("qemu-system-x86"))
    return f"about host {os.cpu_count()} processors, {model}\nabout emulator QEMU {qemu}, TCG\n"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", metavar="GLOB", default=os.environ.get("TESTS") or "*",
                        help="only these boots; the others' last samples are reported again [TESTS]")
    parser.add_argument("--jobs", type=int, metavar="N", default=int(os.environ.get("JOBS") or 2),
                        help="machines side by side; default: 2 [JOBS]")
    parser.add_argument("--quick", action="store_true", default=bool(os.environ.get("QUICK")),
                        help="as little as shows that everything can be measured [QUICK]")
    arguments = parser.parse_args()
    boots = [machine(boot) for boot in read_plan("bench.toml") if fnmatch.fnmatch(boot.name, arguments.only)]
    if not boots:
        sys.exit(f"bench: bench.toml has no boot '{arguments.only}'")
    for name in (*OPTIONS, "qemu_nic"):     # of a single run, not for us
        os.environ.pop(name.upper(), None)
    SAMPLES.mkdir(parents=True, exist_ok=True)
    (SAMPLES / "about.txt").write_text(about(), encoding="utf-8")
    sizes = subprocess.run([HERE / "sizes.py"], check=True, capture_output=True, text=True).stdout
    (SAMPLES / "sizes.txt").write_text(sizes, encoding="utf-8")
    well = asyncio.run(run_all(boots, arguments.jobs, arguments.quick))
    report.report([line for path in sorted(SAMPLES.glob("*.txt"))
                   for line in path.read_text(encoding="utf-8").splitlines()], FOLDER)
    print(f"{FOLDER.relative_to(TOP)}: table.txt, bench.json, plots")
    return 0 if well else 1


if __name__ == "__main__":
    sys.exit(main())
