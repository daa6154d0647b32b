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
import fnmatch
import os
import re
import resource
import signal
import sys
import tempfile
import time
import tomllib
from collections import Counter
from collections.abc import Coroutine, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import acpi
import images
from machine import emulator_fault

HERE = Path(__file__).resolve().parent
TOP = HERE.parents[1]
SELFTESTS = HERE.parent
HARD = SELFTESTS / "hard"
VM_FAILED = 125
# Two processors break in the emulator every few minutes.
ATTEMPTS = 5
OPTIONS = ("kernel", "dom0", "pciback", "pcidev", "modprobe", "nic", "qemu_args", "xen_args", "dom0_args",
           "clock", "smp", "memory", "dom0_memory", "timeout", "zoo")

POINT = re.compile(r"(?P<indent> *)(?P<verdict>ok|not ok) \d+ ?-? ?(?P<text>.*?)(?: # SKIP ?(?P<reason>.*))?$")
SUBTEST = re.compile(r" *# Subtest: (?P<name>\S+)")
PLAN = re.compile(r" *1\.\.(?P<count>\d+)(?: # SKIP ?(?P<reason>.*))?$")
TRIED = re.compile(r" *# tried: (?P<number>\d+) (?P<what>.+)")
DIAGNOSTIC = re.compile(r" *# ?(?P<text>.*)")


@dataclass
class Tried:
    """A row of the table: what a test did, and how often."""

    test: str
    what: str
    number: int


@dataclass
class Count:
    """How the points of a suite ended, and what it tried."""

    passed: int = 0
    failed: int = 0
    skipped: int = 0
    tried: list[Tried] = field(default_factory=list)
    found: Counter[str] = field(default_factory=Counter)

    def __iadd__(self, other: "Count") -> "Count":
        self.passed += other.passed
        self.failed += other.failed
        self.skipped += other.skipped
        self.tried += other.tried
        self.found += other.found
        return self

    def table(self) -> str:
        """What was tried, how often, and in how many points of its test something was found."""
        rows = [("test", "tried", "times", "found")]
        rows += [(row.test, row.what, f"{row.number:,}", str(self.found[row.test])) for row in self.tried]
        wide = [max(map(len, column)) for column in zip(*rows, strict=True)]
        return "\n".join(f"{test:<{wide[0]}}  {what:<{wide[1]}}  {times:>{wide[2]}}  {found:>{wide[3]}}"
                         for test, what, times, found in rows)


@dataclass
class Suite:
    """One stream of KTAP: prints each point as it comes, and counts."""

    name: str
    # The tests of a nested stream that have not ended; a flat one is one test.
    tests: list[str] | None = None
    # "TEST: point" of the points that must fail here, because what they test is not there.
    must_fail: set[str] = field(default_factory=set)
    shown: set[str] = field(default_factory=set)
    count: Count = field(default_factory=Count)
    subtest: str = ""
    notes: list[str] = field(default_factory=list)
    # Of the test that runs: points still to come (None before its plan), points that failed.
    missing: int | None = None
    failed: int = 0
    last: float = field(default_factory=time.monotonic)

    @property
    def nested(self) -> bool:
        return self.tests is not None

    @property
    def where(self) -> str:
        return f"{self.name}/{self.subtest}" if self.subtest else self.name

    def feed(self, line: str) -> None:
        line = line.rstrip("\n")
        if found := TRIED.match(line):
            self.count.tried.append(Tried(self.where, found["what"], int(found["number"])))
        elif found := SUBTEST.match(line):
            self.subtest, self.missing, self.failed, self.notes = found["name"], None, 0, []
            self.last = time.monotonic()
        elif (found := POINT.match(line)) and bool(found["indent"]) == self.nested:
            self.point(found["verdict"] == "ok", found["text"], found["reason"])
        elif found and self.nested:
            self.end_of_subtest(found["verdict"] == "ok")
        elif found := PLAN.match(line):
            self.plan(bool(line.startswith(" ")), int(found["count"]), found["reason"])
        elif line.strip() != "KTAP version 1":
            found = DIAGNOSTIC.match(line)
            self.notes.append(found["text"] if found else line.strip())

    def plan(self, indented: bool, count: int, reason: str | None) -> None:
        if indented != self.nested:
            return
        self.missing = count
        if not count:
            self.report("skip", "all of it", reason or "no reason given")
            self.count.skipped += 1

    def point(self, passed: bool, text: str, reason: str | None) -> None:
        if self.missing is not None:
            self.missing -= 1
        key = f"{self.subtest}: {text}"
        if key in self.must_fail:
            self.must_fail.discard(key)
            if passed:
                self.fail(text, ["skipped, but has to fail here" if reason else "passed, but has to fail here"])
            else:
                self.report("ok", text, "fails, as it has to here")
                self.count.passed += 1
        elif reason is not None:
            self.report("skip", text, reason)
            self.count.skipped += 1
        elif passed:
            self.report("ok", text, notes=[note for note in self.notes if note.startswith("known: ")])
            self.count.passed += 1
        else:
            self.failed += 1
            self.fail(text, self.notes)
        self.notes = []

    def end_of_subtest(self, passed: bool) -> None:
        if self.tests and self.subtest in self.tests:
            self.tests.remove(self.subtest)
        expected = self.failed or any(key.startswith(f"{self.subtest}: ") for key in self.shown)
        if self.missing != 0:
            self.fail("ends with its plan fulfilled", [*self.notes, f"missing points: {self.missing or 'all'}"])
        elif not passed and not expected:
            self.fail("ends well", self.notes)
        self.notes = []

    def finish(self, trouble: list[str]) -> None:
        """The stream has ended; `trouble` says what went wrong with whatever made it."""
        if trouble or self.tests or (not self.nested and self.missing != 0):
            unfinished = [f"not run to its end: {' '.join(self.tests)}"] if self.tests else []
            self.fail("runs to its end", [*self.notes, *unfinished, *trouble])
        for key in sorted(self.must_fail):
            self.fail(key, ["has to fail here, but was not seen"])

    def fail(self, text: str, notes: list[str]) -> None:
        self.count.failed += 1
        self.count.found[self.where] += 1
        self.report("FAIL", text, notes=notes)

    def report(self, verdict: str, text: str, remark: str = "", notes: list[str] | None = None) -> None:
        now = time.monotonic()
        seconds, self.last = now - self.last, now
        key = f"{self.subtest}: {text}"
        if verdict == "ok":
            if key in self.shown:   # by an attempt that was in vain
                return
            self.shown.add(key)
        remark = f" [{remark}]" if remark else ""
        print("\n".join([f"{verdict:<5} {self.where}: {text}{remark} ({seconds:.1f} s)",
                         *(f"          {note}" for note in notes or ())]), flush=True)


@dataclass
class Boot:
    """One machine of the plan, and the tests that it runs."""

    name: str
    tests: list[str]
    fails: list[str]
    before: str
    part: str
    options: dict[str, str | int]

    def select(self, pattern: str) -> bool:
        """Keep only the tests that the pattern wants; false if none is left."""
        self.tests = [test for test in self.tests if wanted(f"{self.name}/{test}", pattern)]
        self.fails = [point for point in self.fails if point.partition(":")[0] in self.tests]
        return bool(self.tests)

    def command(self, script: Path) -> list[str]:
        # Attempts are run_boot()'s.
        values = {"timeout": 900, "attempts": 1} | self.options
        return [str(HERE / "boot.py"), *(f"--{name.replace('_', '-')}={value}" for name, value in values.items()),
                str(script)]

    def script(self) -> str:
        return f"#!/bin/sh\n{self.before}\nexec /selftests/dom0/run {' '.join(self.tests)}\n"


def wanted(name: str, pattern: str) -> bool:
    """Whether a name, or a part of the plan that it belongs to, matches."""
    return fnmatch.fnmatch(name, pattern) or fnmatch.fnmatch(name.partition("/")[0], pattern)


def read(name: str) -> dict:
    return tomllib.loads((HERE / name).read_text(encoding="utf-8"))["boot"]


def numbers(version: str) -> list[int]:
    return [int(number) for number in version.split(".")]


def linux() -> list[int]:
    """The series of dom0's kernel."""
    versions = (HERE / "versions").read_text(encoding="utf-8")
    found = re.search(r"^KERNEL=(\d+\.\d+)", versions, re.M)
    return numbers(found[1]) if found else []


def read_plan(path: str) -> Iterator[Boot]:
    """The boots of a plan. One without tests is there for others to be like."""
    known = read("tests.toml")
    for name, entry in read(path).items():
        # The machine of a boot of tests.toml, or of one further up, with other options.
        if (like := entry.pop("like", None)) and like not in known:
            sys.exit(f"{path}: boot {name}: like a boot that neither tests.toml has, nor {path} before it: {like}")
        entry = {option: value for option, value in known.get(like, {}).items() if option in OPTIONS} | entry
        repeat = entry.pop("repeat", 1)
        fails = entry.pop("fails", [])
        for mended, points in entry.pop("fails_before", {}).items():
            fails += points if linux() < numbers(mended) else []
        boot = Boot(name, entry.pop("tests"), fails, entry.pop("before", ""), entry.pop("part", ""), entry)
        if unknown := set(entry) - set(OPTIONS):
            sys.exit(f"{path}: boot {name}: unknown: {', '.join(sorted(unknown))}")
        if stray := [point for point in boot.fails if point.partition(":")[0] not in boot.tests]:
            sys.exit(f"{path}: boot {name}: not a test of it: {stray[0]}")
        known.setdefault(name, entry)
        if not boot.tests:
            continue
        names = [name] if repeat == 1 else [f"{name}-{number}" for number in range(1, repeat + 1)]
        for name in names:
            yield replace(boot, name=name, tests=list(boot.tests))


async def run_boot(boot: Boot) -> Count:
    """Boot, again if the emulator broke down, and follow the tests."""
    shown: set[str] = set()
    for attempt in range(1, ATTEMPTS + 1):
        suite = Suite(boot.name, list(boot.tests), must_fail=set(boot.fails), shown=shown)
        with tempfile.NamedTemporaryFile("w", encoding="utf-8") as script:
            script.write(boot.script())
            script.flush()
            status, errors = await stream(suite, boot.command(Path(script.name)))
        consoles = [line.rpartition(" ")[2] for line in errors if line.startswith("vm: console: ")]
        log = TOP / consoles[-1] if consoles else None
        if status == VM_FAILED and attempt < ATTEMPTS and log and (fault := emulator_fault(log.read_bytes())):
            print(f"#     {boot.name}: the emulator broke nested SVM ({fault}): known, retried", flush=True)
            continue
        well = status in (0, 1) and not suite.tests
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


def programs_of(folder: Path) -> Iterator[tuple[str, Path]]:
    for path in sorted(folder.glob("*")):
        if path.is_file() and os.access(path, os.X_OK):
            yield f"{folder.name}/{path.stem}", path


@dataclass
class Selection:
    """What is to be run: a glob of names, or the hard tests, all or those of one part."""

    pattern: str
    hard: bool
    part: str

    def programs(self) -> Iterator[tuple[str, Path]]:
        """Those that need no machine. The names of hard ones begin with their part."""
        programs = list(programs_of(HARD)) if self.hard else [("lint", SELFTESTS / "lint"),
                                                              *programs_of(SELFTESTS / "host")]
        for name, path in programs:
            if wanted(name, self.pattern) and self.has(path.stem.partition("-")[0]):
                yield name, path

    def boots(self) -> list[Boot]:
        plan = read_plan("hard.toml" if self.hard else "tests.toml")
        return [boot for boot in plan if self.has(boot.part) and boot.select(self.pattern)]

    def has(self, part: str) -> bool:
        return not self.part or self.part == part

    def check(self) -> None:
        """A part or a test that does not exist is a mistake of whoever asks for it."""
        parts = {path.stem.partition("-")[0] for _, path in programs_of(HARD)}
        parts |= {boot.part for boot in read_plan("hard.toml") if boot.part}
        if self.part and self.part not in parts:
            sys.exit(f"test: there is no part '{self.part}': {', '.join(sorted(parts))}")
        if not self.boots() and not list(self.programs()):
            sys.exit(f"test: there is no test '{self.pattern}': give one glob, such as 'guests*' or 'pvh/lookup'")


async def run_all(selection: Selection, jobs: int) -> Count:
    """So many at a time, in the order of the plan."""
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, asyncio.current_task().cancel)
    boots = selection.boots()
    if boots:
        await prepare({str(boot.options.get("kernel", "stock")) for boot in boots})
    places = asyncio.Semaphore(jobs)

    async def in_turn(test: Coroutine[None, None, Count]) -> Count:
        async with places:
            return await test

    tests = [run_program(name, [str(path)]) for name, path in selection.programs()] + [run_boot(boot) for boot in boots]
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(in_turn(test)) for test in tests]
    total = Count()
    for task in tasks:
        total += task.result()
    return total


async def prepare(kernels: set[str]) -> None:
    """What the boots would otherwise make at the same time."""
    process = await asyncio.create_subprocess_exec("flock", str(TOP / "build/.lock"), "make", "-s", "-C", str(SELFTESTS))
    if await process.wait():
        sys.exit("test: cannot build the programs of the tests")
    images.main(kernels)
    # For a boot of tests.toml: device 11 has a pin that leads nowhere.
    (TOP / "build/images/unrouted.aml").write_bytes(acpi.unroute(11))
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
