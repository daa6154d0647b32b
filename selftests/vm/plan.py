# SPDX-License-Identifier: GPL-2.0
"""Which tests there are, and on which machine: tests.toml, hard.toml, and the programs of host/ and hard/."""

import fnmatch
import os
import re
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

HERE = Path(__file__).resolve().parent
SELFTESTS = HERE.parent
HARD = SELFTESTS / "hard"
OPTIONS = ("kernel", "dom0", "pciback", "pcidev", "modprobe", "nic", "qemu_args", "xen_args", "dom0_args",
           "clock", "smp", "memory", "dom0_memory", "timeout", "zoo")


@dataclass
class Boot:
    """One machine of the plan, and the tests that it runs."""

    name: str
    tests: list[str]
    fails: list[str]
    may_skip: list[str]
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

    def script(self, tests: list[str]) -> str:
        return f"#!/bin/sh\n{self.before}\nexec /selftests/dom0/run {' '.join(tests)}\n"


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


def machine(entry: dict, known: dict[str, dict]) -> dict[str, str | int]:
    """The options of a boot: those of the one that it is like, and its own."""
    like = machine(known[entry["like"]], known) if "like" in entry else {}
    return like | {option: value for option, value in entry.items() if option in OPTIONS}


def read_plan(path: str) -> Iterator[Boot]:
    """The boots of a plan. One without tests is there for others to be like."""
    known = read("tests.toml")
    for name, entry in read(path).items():
        if (like := entry.get("like")) and like not in known:
            sys.exit(f"{path}: boot {name}: like a boot that neither tests.toml has, nor {path} before it: {like}")
        options = machine(entry, known)
        known.setdefault(name, entry.copy())
        repeat = entry.pop("repeat", 1)
        fails = entry.pop("fails", [])
        for mended, points in entry.pop("fails_before", {}).items():
            fails += points if linux() < numbers(mended) else []
        boot = Boot(name, entry.pop("tests"), fails, entry.pop("may_skip", []), entry.pop("before", ""),
                    entry.pop("part", ""), options)
        if unknown := set(entry) - {"like", *OPTIONS}:
            sys.exit(f"{path}: boot {name}: unknown: {', '.join(sorted(unknown))}")
        if stray := [point for point in boot.fails + boot.may_skip if point.partition(":")[0] not in boot.tests]:
            sys.exit(f"{path}: boot {name}: not a test of it: {stray[0]}")
        if not boot.tests:
            continue
        names = [name] if repeat == 1 else [f"{name}-{number}" for number in range(1, repeat + 1)]
        for name in names:
            yield replace(boot, name=name, tests=list(boot.tests))


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
        parts |= {boot.part for boot in read_plan("hard.toml")}
        if self.part and self.part not in parts:
            sys.exit(f"test: there is no part '{self.part}': {', '.join(sorted(parts))}")
        if not self.boots() and not list(self.programs()):
            sys.exit(f"test: there is no test '{self.pattern}': give one glob, such as 'guests*' or 'pvh/lookup'")
