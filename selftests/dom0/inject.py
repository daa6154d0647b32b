# SPDX-License-Identifier: GPL-2.0
"""Walks over an operation, letting one thing in it fail at a time, until nothing is left to fail."""

import functools
import os
import re
import time
from collections.abc import Callable
from pathlib import Path

PLENTY = 1_000_000_000
# The lines that ktap.sh does not want either.
FAULTS = re.compile(os.environ.get("faults") or "BUG:|WARNING:")


class Bad(Exception):
    """Something is not as it has to be."""


class Log:
    """The kernel's messages of one step."""

    def __init__(self) -> None:
        self.fd = os.open("/dev/kmsg", os.O_RDONLY | os.O_NONBLOCK)
        self.begin()

    def begin(self) -> None:
        os.lseek(self.fd, 0, os.SEEK_END)
        self.lines: list[str] = []

    def read(self) -> str:
        while True:
            try:
                record = os.read(self.fd, 8192).decode(errors="replace")
            except BlockingIOError:
                return "\n".join(self.lines)
            except BrokenPipeError:     # Some were lost.
                continue
            self.lines.append(record.partition(";")[2].partition("\n")[0])

    def has(self, pattern: str) -> bool:
        return re.search(pattern, self.read()) is not None


class Calls:
    """What crate xen calls, counted by the parameter fault of one module."""

    def __init__(self, module: str) -> None:
        self.module = module
        self.parameter = Path(f"/sys/module/{module}/parameters/fault")

    def arm(self, number: int, _behind: bool) -> None:
        if self.parameter.exists():
            self.parameter.write_text(str(number))

    def disarm(self) -> None:
        self.arm(0, False)

    def was_hit(self, log: Log) -> bool:
        return log.has("fault injected")

    def parameters(self, module: str, number: int) -> list[str]:
        """A module cannot be told before it is there."""
        return [f"fault={number}"] if number and module == self.module else []

    def what(self, log: Log) -> str:
        found = re.search("fault injected: (.*)", log.read())
        return found[1] if found else ""


class Memory:
    """Allocations, and copies from and to user space, with a module on their stack.

    Counted for each task by fail-nth, for this one and for those that do our work behind the
    scenes, so the kernel needs fault injection with a filter for stacks. Or, of this task only,
    allocations anywhere.
    """

    # What is printed of a failure, with FAULTS_VERBOSE=2.
    STACK = re.compile("FAULT_INJECTION.*?</TASK>", re.DOTALL)
    debugfs = Path("/sys/kernel/debug")
    kinds = ("failslab", "fail_page_alloc", "fail_usercopy")
    # Where modules are; few but ours are loaded, and none of those is called here.
    modules = ("0xffffffffa0000000", "0xffffffffff000000")
    settings = {"probability": "0", "times": str(PLENTY), "stacktrace-depth": "32",
                "verbose": os.environ.get("FAULTS_VERBOSE", "1"),
                "require-start": modules[0], "require-end": modules[1],
                "ignore-gfp-wait": "N", "ignore-gfp-highmem": "N", "min-order": "0", "cache-filter": "Y"}

    @classmethod
    def is_possible(cls) -> bool:
        return (cls.debugfs / "failslab/require-start").exists()

    def __init__(self, anywhere: bool = False) -> None:
        self.left = PLENTY
        # Neither may need memory when something is to fail.
        self.this_task = os.open("/proc/thread-self/fail-nth", os.O_WRONLY)
        self.workers: dict[str, Path | None] = {}
        self.prepare()
        start, end = ("0", "0xffffffffffffffff") if anywhere else self.modules
        (self.debugfs / "failslab/require-start").write_text(start)
        (self.debugfs / "failslab/require-end").write_text(end)

    @classmethod
    @functools.cache
    def prepare(cls) -> None:
        settings = cls.settings | cls.routing()
        for kind in cls.kinds:
            for name, value in settings.items():
                path = cls.debugfs / kind / name
                if path.exists():
                    path.write_text(value)
        # kmemleak would see less and less without the memory for its notes.
        for cache in Path("/sys/kernel/slab").glob("*/failslab"):
            if not cache.parent.is_symlink() and "kmemleak" not in cache.parent.name:
                cache.write_text("1")

    @staticmethod
    def routing() -> dict[str, str]:
        """ACPI's reading of the routing table is left alone: it takes thousands of allocations for
        each function, and after a failure ACPI can never read that table again."""
        symbols = sorted((int(line.split()[0], 16), line.split()[2])
                         for line in Path("/proc/kallsyms").read_text().splitlines())
        start = next((at for at, name in symbols if name == "acpi_rs_get_prt_method_data"), 0)
        end = next((at for at, _ in symbols if at > start), 0) if start else 0
        return {"reject-start": hex(start), "reject-end": hex(end)}

    def find_workers(self) -> None:
        """Those that do our work behind the scenes; they come and go."""
        tasks = {name for name in os.listdir("/proc") if name.isdigit()}
        for name in self.workers.keys() - tasks:
            del self.workers[name]
        for name in tasks - self.workers.keys():
            try:
                comm = Path("/proc", name, "comm").read_text()
                is_one = re.match(r"kworker/u|xenwatch", comm)
                self.workers[name] = Path("/proc", name, "fail-nth") if is_one else None
            except (FileNotFoundError, ProcessLookupError):
                pass

    def budget(self) -> int:
        files = [self.debugfs / kind / "times" for kind in self.kinds]
        return sum(int(file.read_text()) for file in files if file.exists())

    def arm(self, number: int, behind: bool) -> None:
        self.left = self.budget()
        if behind:
            self.find_workers()
            self.set_workers(number)
        os.pwrite(self.this_task, str(number).encode(), 0)

    def disarm(self) -> None:
        os.pwrite(self.this_task, b"0", 0)
        self.set_workers(0)

    def set_workers(self, number: int) -> None:
        for path in self.workers.values():
            try:
                if path:
                    path.write_text(str(number))
            except (FileNotFoundError, ProcessLookupError):
                pass

    def was_hit(self, _log: Log) -> bool:
        return self.budget() != self.left

    def parameters(self, _module: str, _number: int) -> list[str]:
        return []

    def what(self, log: Log) -> str:
        stack = self.STACK.search(log.read())
        return " < ".join(re.findall(r"^ ([^? ][^+]*)\+0x", stack[0], re.MULTILINE)) if stack else ""


Fault = Calls | Memory
Home = Callable[[Log], None]


class Operation:
    """What is walked over. After each step, `home` makes the functions fit for the next."""

    # Whether tasks of the kernel do some of it, behind the scenes.
    behind = False

    def ready(self) -> None:
        """What comes before, without a failure."""

    def do(self, fault: Fault, number: int) -> None:
        """The operation; an OSError if it fails."""
        raise NotImplementedError

    def done(self, log: Log) -> None:
        """It says that it was done: was it?"""

    def failed(self, log: Log, error: OSError) -> None:
        """It failed: what has to be true then?"""

    def finish(self, home: Home, log: Log) -> None:
        """What comes after."""
        home(log)


def wait(what: str, condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 20
    while not condition():
        if time.monotonic() > end:
            raise Bad(f"{what}: waited in vain")
        # There may be one processor for all.
        time.sleep(0.05)


def step(operation: Operation, fault: Fault, number: int, log: Log) -> bool:
    """Lets the number-th thing fail; whether there was one."""
    operation.ready()
    log.begin()
    error = None
    fault.arm(number, operation.behind)
    try:
        operation.do(fault, number)
    except OSError as e:
        error = e
    finally:
        fault.disarm()
        hit = fault.was_hit(log)
    if error is None:
        operation.done(log)
    elif hit:
        operation.failed(log, error)
    else:
        raise Bad(f"fails without a fault: {error}")
    return hit


def walk(operation: Operation, fault: Fault, home: Home, each: int) -> int:
    """Returns how many failures there were."""
    log = Log()
    home(log)
    hits = number = 0
    again = True
    while again:
        # The first ones always: there may not be more.
        number += 1 if number < 3 else each
        try:
            again = step(operation, fault, number, log)
            hits += again
            operation.finish(home, log)
            if found := FAULTS.search(Memory.STACK.sub("", log.read())):
                raise Bad(f"a fault of the kernel: {found[0]}")
        except (Bad, OSError) as e:
            fault.disarm()
            said = "\n".join(Memory.STACK.sub("", log.read()).splitlines()[-30:])
            raise Bad(f"with failure {number} ({fault.what(log)}): {e!r}\n{said}") from e
    home(log)
    return hits
