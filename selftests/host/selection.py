#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""What is said of a test, a part or an animal that does not exist. Prints KTAP."""

import asyncio
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]
VM = TOP / "selftests/vm"
sys.path.insert(0, str(VM))

import ktap
import plan   # noqa: E402
import zoo    # noqa: E402


def refused(words: str, *options: str, **variables: str) -> list[str]:
    """Whether `make test` with these variables ends with a line that says so, and runs nothing."""
    ended = subprocess.run([VM / "test.py", *options], env=os.environ | {"TESTS": "", "PART": ""} | variables,
                           capture_output=True, text=True, check=False)
    if ended.returncode and not ended.stdout and words in ended.stderr and ended.stderr.count("\n") == 1:
        return []
    return [f"exit status {ended.returncode}, wanted '{words}', found: {ended.stdout}{ended.stderr}"]


def selected(selection: plan.Selection) -> list[str]:
    names = [name for name, _ in selection.programs()] + [boot.name for boot in selection.boots()]
    try:
        selection.check()
    except SystemExit as error:
        return [str(error)]
    return [] if names else ["nothing is selected"]


def set_up() -> list[str]:
    """Whether `make test-hard PART=...` sets up what the machines of that part need."""
    wrong = [f"{boot.name} is in no part" for boot in plan.read_plan("hard.toml") if not boot.part]
    for part in sorted({boot.part for boot in plan.read_plan("hard.toml")}):
        boots = plan.Selection("*", True, part).boots()
        needs = ["debug"] * any(boot.options.get("kernel") == "debug" for boot in boots)
        needs += ["zoo"] * any("zoo" in boot.options for boot in boots)
        commands = subprocess.run(["make", "-n", "-C", TOP, "test-hard", f"PART={part}"], env=os.environ | {"TESTS": ""},
                                  capture_output=True, text=True, check=True).stdout
        found = re.search(r"vm/setup(.*?)(?<!\\)$", commands, re.M | re.S)
        if not found or found[1].replace("\\\n", " ").split() != needs:
            wrong.append(f"{part} needs {needs}, make says: {commands}")
    return wrong


def like() -> list[str]:
    """Whether a machine of hard.toml that is like pvh-stock has the devices of pvh, which that one is like."""
    found = [boot.options.get("qemu_args") for boot in plan.read_plan("hard.toml") if boot.name == "pvh-stock-more"]
    return [] if found == [plan.read("tests.toml")["pvh"]["qemu_args"]] else [f"{found}"]


def unicorn() -> list[str]:
    with tempfile.NamedTemporaryFile() as log:
        try:
            asyncio.run(zoo.Zoo(["gpu", "unicorn"], Path(log.name)).start())
        except zoo.ZooFailed as failure:
            text = str(failure)
            return [] if "/unicorn.toml" in text and "/gpu.toml" not in text and "selftests/zoo/animals" in text else [text]
    return ["it was not missed"]


TESTS: dict[str, Callable[[], list[str]]] = {
    "TESTS= that matches nothing is refused": lambda: refused("there is no test 'unicorn*'", TESTS="unicorn*"),
    "two globs are refused": lambda: refused("give one glob", TESTS="lint host/*"),
    "PART= that is none is refused, with those that are": lambda: refused(
        "there is no part 'unicorn': debug, faults", "--hard", PART="unicorn"),
    "a part has no test of another one": lambda: refused("there is no test 'soak*'", "--hard", PART="races", TESTS="soak*"),
    "what exists is accepted": lambda: selected(plan.Selection("host/*", False, "")) + selected(
        plan.Selection("pvh/lookup", False, "")) + selected(plan.Selection("*", True, "races")),
    "make sets up what a part needs": set_up,
    "a machine is like another one, and like what that is like": like,
    "an animal of ZOO= that does not exist is named": unicorn,
}


if __name__ == "__main__":
    sys.exit(ktap.run(TESTS))
