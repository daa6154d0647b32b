#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Make a table, bench.json and plots of what bench.py, or a dom0, measured.

Reads files of lines "sample MEASURE DRIVER X VALUE" and "about WHAT TEXT"; others
are ignored. measures.toml says what each measure is, and what is aimed at.

Of samples the median is shown (or what "of" names), with the quartiles; of two
drivers the ratio of that, with the interval that holds 95 % of what resampling
(the bootstrap) makes of it. An aim counts as met, or missed, if that whole
interval does; otherwise the samples do not tell.
"""

import argparse
import json
import sys
import time
import tomllib
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path

import matplotlib
import numpy
from scipy import stats

matplotlib.use("svg")
# The same samples make the same file.
matplotlib.rcParams |= {"svg.hashsalt": "bench", "svg.fonttype": "none", "font.size": 9}
import matplotlib.pyplot as plt   # noqa: E402

HERE = Path(__file__).resolve().parent
DRIVERS = ("stock", "rust", "pv")
NAMES = {"stock": "stock", "rust": "ours", "pv": "stock, PV dom0"}
STATISTICS = {"median": numpy.median, "worst": numpy.max}
CONFIDENCE, RESAMPLES, SEED = 0.95, 9999, 1


@dataclass
class Aim:
    """What is aimed at: DRIVER's value at X is "most" at most, or so many times another one's."""

    most: float
    text: str
    driver: str = "rust"
    x: str = ""     # any but the others; "" for all
    times: str = ""
    times_x: str = ""
    least: bool = False     # at least, rather than at most


@dataclass
class Measure:
    """An entry of measures.toml."""

    name: str
    title: str
    unit: str
    x: str = ""
    better: str = "less"
    of: str = "median"
    plot: bool = False
    aims: list[Aim] = field(default_factory=list)

    def value(self, samples: list[float]) -> float:
        return float(STATISTICS[self.of](samples))


@dataclass
class Estimate:
    """A number, and the interval that it is in."""

    value: float
    low: float
    high: float

    def verdict(self, aim: Aim) -> str:
        good = [number >= aim.most if aim.least else number <= aim.most for number in (self.low, self.high)]
        return "met" if all(good) else "missed" if not any(good) else "open"


Samples = dict[str, dict[str, dict[str, list[float]]]]   # by measure, x and driver


def read_measures(path: Path = HERE / "measures.toml") -> dict[str, Measure]:
    measures = {}
    for name, entry in tomllib.loads(path.read_text(encoding="utf-8")).items():
        aims = [Aim(**{key: str(value) if key in ("x", "times_x") else value for key, value in aim.items()})
                for aim in entry.pop("aims", [])]
        measures[name] = Measure(name, aims=aims, **entry)
    return measures


def read(lines: Iterable[str], measures: dict[str, Measure]) -> tuple[Samples, dict[str, str]]:
    """The samples, and what is said about where they are from."""
    samples: Samples = defaultdict(lambda: defaultdict(lambda: defaultdict(list)))
    about: dict[str, set[str]] = defaultdict(set)
    for line in lines:
        match line.split(maxsplit=2):
            case ["sample", name, rest]:
                try:
                    driver, x, value = rest.split()
                    if name not in measures or driver not in DRIVERS:
                        raise ValueError
                    samples[name][x][driver].append(float(value))
                except ValueError:
                    sys.exit(f"report: not a sample of measures.toml: {line.strip()}")
            case ["about", what, text]:
                about[what].add(text.strip())
    return samples, {what: ", ".join(sorted(texts)) for what, texts in about.items()}


def in_order(xs: Iterable[str]) -> list[str]:
    return sorted(xs, key=lambda x: (0.0 if x == "-" else float(x)))


def ratio(measure: Measure, above: list[float], below: list[float]) -> Estimate | None:
    """How many times the other it is; None if that has no meaning."""
    bottom = measure.value(below)
    if not bottom:
        return None
    value = measure.value(above) / bottom
    return Estimate(value, *interval(lambda a, b: measure.value(a) / measure.value(b), value, above, below))


def interval(statistic, value: float, *samples: list[float]) -> tuple[float, float]:
    # One sample has no spread that could be known; without spread, there is none to find.
    if any(len(each) < 2 for each in samples) or all(len(set(each)) == 1 for each in samples):
        return value, value
    found = stats.bootstrap([numpy.array(each) for each in samples], statistic, vectorized=False, paired=False,
                            n_resamples=RESAMPLES, confidence_level=CONFIDENCE, method="percentile",
                            random_state=numpy.random.default_rng(SEED)).confidence_interval
    return float(found.low), float(found.high)


def judge(measure: Measure, aim: Aim, samples: dict[str, dict[str, list[float]]]) -> tuple[str, Estimate] | None:
    """Whether an aim is met, at every X that it is about; None if that was not measured."""
    verdicts = []
    for x in [aim.x] if aim.x else in_order(samples):
        of = samples.get(x, {}).get(aim.driver)
        if not of:
            continue
        if aim.times:
            other = samples.get(aim.times_x or x, {}).get(aim.times)
            estimate = ratio(measure, of, other) if other else None
        else:
            value = measure.value(of)
            estimate = Estimate(value, *interval(measure.value, value, of))
        if estimate:
            verdicts.append((estimate.verdict(aim), estimate))
    # The worst of them.
    return max(verdicts, key=lambda each: ("met", "open", "missed").index(each[0]), default=None)


def number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 or value == int(value) else f"{value:.3g}"


def cell(measure: Measure, samples: list[float] | None) -> str:
    """A value, and the quartiles if they are not the same."""
    if not samples:
        return "–"
    low, high = numpy.quantile(samples, [0.25, 0.75])
    value = number(measure.value(samples))
    return value if measure.of != "median" or number(low) == number(high) else f"{value} ({number(low)}–{number(high)})"


def show(estimate: Estimate | None) -> str:
    if not estimate:
        return "–"
    wide = f"{estimate.low:.2f}" != f"{estimate.high:.2f}"
    return f"{estimate.value:.2f}" + (f" ({estimate.low:.2f}–{estimate.high:.2f})" if wide else "")


def rows(measures: dict[str, Measure], samples: Samples) -> list[tuple[str, ...]]:
    table = []
    for name, measure in measures.items():
        for x in in_order(samples.get(name, {})):
            at = samples[name][x]
            both = ratio(measure, at["rust"], at["stock"]) if at.get("rust") and at.get("stock") else None
            title = f"{measure.title}, {measure.unit}" + (f"; {x} {measure.x}" if x != "-" else "")
            count = "/".join(str(len(at[driver])) for driver in DRIVERS if at.get(driver))
            table.append((title, *(cell(measure, at.get(driver)) for driver in DRIVERS), show(both), count))
    return table


def aims(measures: dict[str, Measure], samples: Samples) -> list[tuple[str, ...]]:
    table = []
    for name, measure in measures.items():
        for aim in measure.aims:
            if found := judge(measure, aim, samples.get(name, {})):
                table.append((f"{measure.title}: {aim.text}", show(found[1]), found[0]))
            elif name in samples:
                table.append((f"{measure.title}: {aim.text}", "–", "not measured"))
    return table


def rst(header: tuple[str, ...], lines: list[tuple[str, ...]]) -> str:
    """A table that people and reStructuredText can read."""
    wide = [max(map(len, column)) for column in zip(header, *lines, strict=True)]
    rule = "  ".join("=" * each for each in wide)
    text = ["  ".join(value.ljust(each) for value, each in zip(row, wide, strict=True)).rstrip()
            for row in (header, *lines)]
    return "\n".join([rule, text[0], rule, *text[1:], rule]) + "\n"


def draw(measure: Measure, samples: dict[str, dict[str, list[float]]], path: Path) -> None:
    """A curve for each driver, with the quartiles as a band."""
    figure, axes = plt.subplots(figsize=(5, 3), layout="constrained")
    for driver, style in zip(DRIVERS, ("o-", "s-", "^-"), strict=True):
        xs = [x for x in in_order(samples) if samples[x].get(driver)]
        if not xs:
            continue
        at = [float(x) for x in xs]
        axes.plot(at, [measure.value(samples[x][driver]) for x in xs], style, markersize=4, label=NAMES[driver])
        low, high = zip(*(numpy.quantile(samples[x][driver], [0.25, 0.75]) for x in xs), strict=True)
        axes.fill_between(at, low, high, alpha=0.2)
    axes.set(title=measure.title, xlabel=measure.x, ylabel=measure.unit)
    axes.set_ylim(bottom=0)
    axes.legend()
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)


def report(lines: Iterable[str], folder: Path) -> None:
    """Print the tables and write the files."""
    measures = read_measures()
    samples, about = read(lines, measures)
    if not samples:
        sys.exit("report: no samples")
    about["date"] = time.strftime("%Y-%m-%d")
    drivers = tuple(NAMES[driver] for driver in DRIVERS)
    verdicts = aims(measures, samples)
    text = "\n".join([".. SPDX-License-Identifier: GPL-2.0\n",
                      "".join(f":{what}: {value}\n" for what, value in sorted(about.items())),
                      rst(("measure", *drivers, "ours/stock", "samples"), rows(measures, samples)),
                      rst(("aim", "found", "verdict"), verdicts)])
    print(text)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "table.txt").write_text(text, encoding="utf-8")
    result = {"about": about, "measures": {name: asdict(measures[name]) | {"samples": of} for name, of in samples.items()},
              "aims": [dict(zip(("aim", "found", "verdict"), row, strict=True)) for row in verdicts]}
    (folder / "bench.json").write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    for name, measure in measures.items():
        if measure.plot and name in samples:
            draw(measure, samples[name], folder / f"{name}.svg")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--into", type=Path, default=HERE.parents[1] / "build/bench", metavar="DIR",
                        help="where table.txt, bench.json and the plots go; default: build/bench")
    parser.add_argument("samples", type=Path, nargs="+", help="files of samples")
    arguments = parser.parse_args()
    lines = [line for path in arguments.samples for line in path.read_text(encoding="utf-8").splitlines()]
    report(lines, arguments.into)
    return 0


if __name__ == "__main__":
    sys.exit(main())
