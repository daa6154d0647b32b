#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""The bench's report, made of samples whose medians and ratios are known. Prints KTAP."""

import contextlib
import io
import json
import re
import sys
import tempfile
import tomllib
from collections.abc import Callable
from pathlib import Path

SELFTESTS = Path(__file__).resolve().parents[1]
BENCH = SELFTESTS / "bench"
sys.path.insert(0, str(BENCH))

import ktap     # noqa: E402
import report   # noqa: E402

MEASURE = report.Measure("m", "title", "s")
TWICE = report.Aim(2.0, "", times="stock")


def estimate(above: list[float], below: list[float]) -> report.Estimate:
    found = report.ratio(MEASURE, above, below)
    assert found
    return found


def verdict(aim: report.Aim, samples: dict[str, dict[str, list[float]]]) -> str:
    found = report.judge(MEASURE, aim, samples)
    return found[0] if found else "not measured"


def same(found: object, wanted: object) -> list[str]:
    return [] if found == wanted else [f"wanted {wanted}, found {found}"]


def medians() -> list[str]:
    found = estimate([3.0, 1.0, 2.0, 100.0, 2.0], [4.0, 4.0, 4.0])
    return same(found.value, 0.5)


def spread() -> list[str]:
    found = estimate([1.0, 2.0, 3.0, 4.0, 5.0], [1.0, 1.0, 1.0, 1.0])
    return [] if found.low < 3.0 < found.high else [f"no spread: {found}"]


def no_spread() -> list[str]:
    found = estimate([2.0, 2.0, 2.0], [4.0])
    return same((found.low, found.high), (0.5, 0.5))


def nothing_to_divide_by() -> list[str]:
    return same(report.ratio(MEASURE, [1.0], [0.0]), None)


def certain() -> list[str]:
    low, high = [1.9, 1.8, 1.9, 1.85], [2.1, 2.2, 2.3, 2.2]
    one = [1.0, 1.0, 1.0]
    return (same(verdict(TWICE, {"-": {"rust": low, "stock": one}}), "met")
            + same(verdict(TWICE, {"-": {"rust": high, "stock": one}}), "missed")
            + same(verdict(TWICE, {"-": {"rust": low + high, "stock": one}}), "open")
            + same(verdict(report.Aim(2.0, "", times="stock", least=True), {"-": {"rust": high, "stock": one}}), "met"))


def other_x() -> list[str]:
    aim = report.Aim(1.5, "", x="32", times="rust", times_x="1")
    return (same(verdict(aim, {"1": {"rust": [1.0]}, "32": {"rust": [1.4], "stock": [9.0]}}), "met")
            + same(verdict(aim, {"1": {"rust": [1.0]}, "32": {"rust": [1.6]}}), "missed")
            + same(verdict(aim, {"1": {"rust": [1.0]}}), "not measured"))


def every_x() -> list[str]:
    return same(verdict(TWICE, {"1": {"rust": [1.0], "stock": [1.0]}, "2": {"rust": [9.0], "stock": [1.0]}}), "missed")


def refused() -> list[str]:
    problems = []
    for line in ("sample hide rust 1", "sample hide nobody 1 2", "sample nothing rust 1 2", "sample hide rust 1 x"):
        try:
            report.read([line], report.read_measures())
            problems.append(f"taken: {line}")
        except SystemExit:
            pass
    return problems


def whole() -> list[str]:
    """Tables, JSON and a plot of a few samples."""
    lines = ["about kernel 1.2", "# a remark", "noise", *(f"sample hide {driver} {x} {value}" for driver, x, value in (
        ("stock", 1, 0.1), ("stock", 32, 3.2), ("rust", 1, 0.1), ("rust", 32, 0.12)))]
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        with contextlib.redirect_stdout(io.StringIO()) as output:
            report.report(lines, folder)
        result = json.loads((folder / "bench.json").read_text())
        plot = (folder / "hide.svg").read_text()
    problems = same(result["measures"]["hide"]["samples"]["32"], {"stock": [3.2], "rust": [0.12]})
    problems += same([aim["verdict"] for aim in result["aims"]], ["met"])
    problems += same(result["about"]["kernel"], "1.2")
    problems += [] if re.search(r"32 functions +3\.2 +0\.12 +– +0\.04", output.getvalue()) else [output.getvalue()]
    return problems + ([] if "<svg" in plot and "ours" in plot else ["no plot of both drivers"])


def all_known() -> list[str]:
    """Whatever is measured is explained, and the other way round."""
    scripts = {path.stem: path.read_text() for path in (BENCH / "dom0").glob("*.sh")}
    scripts["sizes"] = (BENCH / "sizes.py").read_text()
    plan = tomllib.loads((SELFTESTS / "vm/bench.toml").read_text())["boot"].values()
    missing = {name for boot in plan for name in boot["tests"]} - set(scripts)
    text = "\n".join(scripts.values())
    # A script may put parts of a name, such as the kind of interrupt, into variables.
    samples = "|".join(re.sub(r"\$\w+", "[a-z-]+", name) for name in re.findall(r"\bsample (\S*[a-z]{3}\S*)", text))
    unused = {name for name in report.read_measures()
              if not re.search(rf"\b{re.escape(name)}\b", text) and not re.fullmatch(samples, name)}
    return [f"no script: {name}" for name in missing] + [f"nobody measures: {name}" for name in unused]


TESTS: dict[str, Callable[[], list[str]]] = {
    "a ratio is that of medians": medians,
    "its interval holds it, and is as wide as the samples differ": spread,
    "equal samples have no spread": no_spread,
    "nothing is divided by zero": nothing_to_divide_by,
    "an aim is met or missed if the whole interval says so": certain,
    "an aim may be about another number of devices": other_x,
    "an aim about all numbers of devices is missed at one": every_x,
    "a line that is no sample is refused": refused,
    "samples become tables, JSON and plots": whole,
    "every measure has a script and an explanation": all_known,
}


if __name__ == "__main__":
    sys.exit(ktap.run(TESTS))
