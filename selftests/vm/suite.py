# SPDX-License-Identifier: GPL-2.0
"""The results of a stream of KTAP: printed as they come, and counted."""

import re
import time
from collections import Counter
from collections.abc import Iterable
from copy import deepcopy
from dataclasses import dataclass, field

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
    fails: Iterable[str] = ()
    # The tests that may find nothing to test here, and skip all of it.
    may_skip: Iterable[str] = ()
    must_fail: set[str] = field(init=False)
    shown: set[str] = field(default_factory=set)
    count: Count = field(default_factory=Count)
    # What of it the tests of a nested stream have that ended.
    ended: Count = field(default_factory=Count)
    subtest: str = ""
    notes: list[str] = field(default_factory=list)
    # Of the test that runs: points still to come (None before its plan), points that failed.
    missing: int | None = None
    failed: int = 0
    last: float = field(default_factory=time.monotonic)

    def __post_init__(self) -> None:
        self.must_fail = set(self.fails)

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
        if count:
            return
        if self.nested and self.subtest not in self.may_skip:
            self.fail("has what it tests", [reason or "no reason given"])
        else:
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
        self.ended = deepcopy(self.count)

    def start_again(self) -> None:
        """The stream broke off; another will hold the tests that have not ended."""
        self.count, self.notes = deepcopy(self.ended), []
        self.must_fail |= {point for point in self.fails if point.partition(":")[0] in (self.tests or ())}

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
