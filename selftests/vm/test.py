#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Run every test there is: lint, host tests, and those of a dom0 in VMs.

tests.toml says which machine is booted for which tests, hard.toml does so for
the hard tests. One line per test as it ends, with diagnostics if it failed; a
table of what was tried; the last line is the count. The exit status is 0 if
something ran and nothing failed.
"""

import argparse
import asyncio
import os
import resource
import signal
import sys
import tempfile
import time
from collections.abc import Coroutine
from pathlib import Path

import acpi
import dist
import images
from machine import emulator_fault
from plan import OPTIONS, SELFTESTS, Boot, Selection
from suite import Count, Suite

TOP = SELFTESTS.parent
VM_FAILED = 125
# Two processors break in the emulator every few minutes.
ATTEMPTS = 8


async def run_boot(boot: Boot) -> Count:
    """Boot, again for the tests that have not ended if the emulator broke down, and follow them."""
    suite = Suite(boot.name, list(boot.tests), boot.fails, boot.may_skip)
    for attempt in range(1, ATTEMPTS + 1):
        with tempfile.NamedTemporaryFile("w", encoding="utf-8") as script:
            script.write(boot.script(suite.tests))
            script.flush()
            status, errors = await stream(suite, boot.command(Path(script.name)))
        consoles = [line.rpartition(" ")[2] for line in errors if line.startswith("vm: console: ")]
        log = TOP / consoles[-1] if consoles else None
        fault = emulator_fault(log.read_bytes()) if status == VM_FAILED and log else None
        if fault and suite.tests and attempt < ATTEMPTS:
            print(f"#     {boot.name}: the emulator broke nested SVM ({fault}): known, retried", flush=True)
            suite.start_again()
            continue
        well = (status in (0, 1) or fault) and not suite.tests
        suite.finish([] if well else [*errors[-30:], f"exit status {status}"])
        if suite.count.failed and log:
            print(f"#     {boot.name}: console log: {consoles[-1]}", flush=True)
        return suite.count
    raise AssertionError


async def run_program(name: str, command: list[str]) -> Count:
    """A test on this machine."""
    suite = Suite(name)
    status, errors = await stream(suite, command)
    suite.notes += errors
    suite.finish([] if status in (0, 1) else [f"exit status {status}"])
    return suite.count


async def stream(suite: Suite, command: list[str]) -> tuple[int, list[str]]:
    """Run a command, its output through the suite; returns its status and its standard error."""
    process = await asyncio.create_subprocess_exec(*command, stdin=asyncio.subprocess.DEVNULL,
                                                   stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
                                                   cwd=TOP, start_new_session=True)
    assert process.stdout and process.stderr

    async def output(reader: asyncio.StreamReader) -> None:
        while line := await reader.readline():
            suite.feed(line.decode(errors="replace"))

    errors = asyncio.ensure_future(process.stderr.read())
    try:
        await output(process.stdout)
        return await process.wait(), (await errors).decode(errors="replace").splitlines()
    finally:
        if process.returncode is None:
            process.terminate()
            await process.wait()


async def run_all(selection: Selection, jobs: int) -> Count:
    """So many at a time, in the order of the plan."""
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, asyncio.current_task().cancel)
    boots = selection.boots()
    if boots:
        await prepare({str(boot.options.get("kernel", "stock")) for boot in boots})
    places = asyncio.Semaphore(jobs)

    async def in_turn(name: str, test: Coroutine[None, None, Count]) -> Count:
        async with places:
            began = time.monotonic()
            count = await test
            print(f"# {name}: {(time.monotonic() - began) / 60:.1f} minutes", flush=True)
            return count

    tests = [(name, run_program(name, [str(path)])) for name, path in selection.programs()]
    tests += [(boot.name, run_boot(boot)) for boot in boots]
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(in_turn(*test)) for test in tests]
    total = Count()
    for task in tasks:
        total += task.result()
    return total


async def prepare(kernels: set[str]) -> None:
    """What the boots would otherwise make at the same time."""
    process = await asyncio.create_subprocess_exec("flock", str(TOP / "build/.lock"), "make", "-s", "-C", str(SELFTESTS))
    if await process.wait():
        sys.exit("test: cannot build the programs of the tests")
    try:
        images.main(kernels)
    except dist.Incomplete as error:
        sys.exit(f"test: {error}")
    # For a boot of tests.toml: device 11 has a pin that leads nowhere.
    (TOP / "build/images/unrouted.aml").write_bytes(acpi.unroute(11))
    # For node: all functions have node 0.
    (TOP / "build/images/node.aml").write_bytes(acpi.proximity(0))
    # For guest-msix: what a guest has to find on its disks.
    text = "".join(f"{number}\n" for number in range(1, 100001))
    (TOP / "build/images/pattern.img").write_bytes(text.encode().ljust(1 << 20, b"\0"))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", metavar="GLOB", default=os.environ.get("TESTS") or "*",
                        help="only these: lint, host/NAME, BOOT or BOOT/TEST [TESTS]")
    parser.add_argument("--jobs", type=int, default=int(os.environ.get("JOBS") or 0),
                        help="machines side by side [JOBS]; default: one less than processors, for the hard tests "
                             "as many as processors, and two at least")
    parser.add_argument("--hard", action="store_true", help="the hard tests")
    parser.add_argument("--part", default=os.environ.get("PART") or "",
                        help="of the hard tests, only these [PART]")
    arguments = parser.parse_args()
    selection = Selection(arguments.only, arguments.hard, arguments.part if arguments.hard else "")
    selection.check()
    jobs = arguments.jobs or max(2, (os.cpu_count() or 1) - (0 if arguments.hard else 1))
    began = time.monotonic()
    for name in OPTIONS:    # of a single run, not for us
        os.environ.pop(name.upper(), None)
    os.environ.pop("QEMU_NIC", None)
    try:
        total = asyncio.run(run_all(selection, jobs))
    except asyncio.CancelledError:
        print("interrupted", file=sys.stderr)
        return 130
    if total.tried:
        print(f"\n{total.table()}\n")
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    print(f"# {(time.monotonic() - began) / 60:.0f} minutes, {(used.ru_utime + used.ru_stime) / 60:.0f} of a processor")
    print(f"{total.passed} passed, {total.failed} failed, {total.skipped} skipped", flush=True)
    return 0 if total.passed and not total.failed else 1


if __name__ == "__main__":
    sys.exit(main())
