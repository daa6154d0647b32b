#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Fuzz the pure logic of the modules with libFuzzer.

Without arguments: every target, for some time each, beginning with its corpus;
prints KTAP, and which lines of the logic the corpus reaches. With --runs: one target,
for so many inputs. With a target and files: run that on these inputs, as libFuzzer
names them when it has found something.
With --grow: fuzz a target, and add to its corpus what reaches more.

Overflow checks and debug assertions are on, and a panic is a crash. There is no
unsafe code in the logic, so there is no address sanitizer (which this compiler
does not have).
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
TOP = HERE.parents[1]
CORPUS = HERE / "corpus"
# What is built and found, in a folder for each target, and one for all: these may run at the same time.
BUILD = TOP / "build/fuzz"
LONGEST = 256
# Of the lines of the logic, not of the targets.
WANTED_COVERAGE = 95.0

CHECKED = ["-Copt-level=2", "-Cdebug-assertions=on", "-Coverflow-checks=on", "-Cpanic=abort", "-Ccodegen-units=1"]
# What libFuzzer is told of: edges, and the operands of comparisons.
GUIDED = ["-Cpasses=sancov-module",
          *(f"-Cllvm-args=-sanitizer-coverage-{option}"
            for option in ("level=4", "inline-8bit-counters", "pc-table", "trace-compares"))]
COUNTED = ["-Cinstrument-coverage"]


def targets() -> list[str]:
    return sorted(path.stem for path in (HERE / "targets").glob("*.rs"))


def output_of(command: list[str | Path]) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def build(name: str, flags: list[str], place: Path) -> Path:
    """Compile the targets with the sources of the modules, and the crates that they want."""
    out = place / name
    out.mkdir(parents=True, exist_ok=True)
    runtime = Path(output_of(["clang", "-print-resource-dir"]).strip(), "lib/linux/libclang_rt.fuzzer-x86_64.a")

    def rustc(source: str, crate_type: str, *options: str) -> None:
        subprocess.run(["rustc", "--edition=2021", f"-L{out}", f"--out-dir={out}", f"--crate-type={crate_type}",
                        *options, HERE / source], check=True)

    host = "../host/rust"
    rustc(f"{host}/macros.rs", "proc-macro", "--extern=proc_macro")
    rustc(f"{host}/kernel.rs", "rlib", *CHECKED, f"--extern=macros={out}/libmacros.so")
    kernel = f"--extern=kernel={out}/libkernel.rlib"
    rustc(f"{host}/xen.rs", "rlib", *CHECKED, *flags, kernel)
    rustc("fuzz.rs", "bin", *CHECKED, *flags, kernel, f"--extern=xen={out}/libxen.rlib",
          f"-Clink-arg={runtime}", "-Clink-args=-lstdc++ -lm -lgcc_s -lc")
    return out / "fuzz"


@dataclass
class Result:
    """How fuzzing a target ended."""

    target: str
    status: int
    output: str
    found: Path | None

    def number(self, pattern: str) -> int:
        numbers = re.findall(pattern, self.output)
        return int(numbers[-1]) if numbers else 0

    @property
    def executions(self) -> int:
        return self.number(r"stat::number_of_executed_units: *(\d+)")

    @property
    def edges(self) -> int:
        return self.number(r"cov: (\d+)")

    def show(self, number: int) -> bool:
        passed = self.status == 0 and self.executions > 0 and self.edges > 0
        if self.executions:
            print(f"# tried: {self.executions} executions of {self.target}, {self.edges} edges")
        if not passed:
            for line in self.explain():
                print(f"# {line}")
        print(f"{'ok' if passed else 'not ok'} {number} {self.target}: nothing is found", flush=True)
        return passed

    def explain(self) -> list[str]:
        if not self.found:
            return self.output.splitlines()[-20:]
        data = self.found.read_bytes()
        said = re.search(r"^.*panicked at (?:.*\n){1,4}", self.output, re.M)
        return [*(said[0].splitlines() if said else self.output.splitlines()[-5:]),
                f"input, {len(data)} bytes: {data.hex(' ')}", f"escaped: {data!r}",
                "to see it again:",
                f"  selftests/vm/sandbox selftests/fuzz/fuzz.py {self.target} {self.found.relative_to(TOP)}"]


def run(program: Path, target: str, options: list[str | Path]) -> subprocess.CompletedProcess[str]:
    return subprocess.run([program, *options], env=os.environ | {"FUZZ_TARGET": target}, text=True, errors="replace",
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)


def fuzz(program: Path, target: str, limit: str, seed: int) -> Result:
    """Fuzz up to a limit. What reaches more than the corpus is left beside the program, in new/."""
    place = program.parents[1]
    new = place / "new" / target
    shutil.rmtree(new, ignore_errors=True)
    new.mkdir(parents=True)
    artifacts = place / "found" / target
    shutil.rmtree(artifacts, ignore_errors=True)
    artifacts.mkdir(parents=True)
    ended = run(program, target, [limit, f"-seed={seed}", f"-max_len={LONGEST}", "-timeout=10",
                                  "-use_value_profile=1", "-print_final_stats=1", f"-artifact_prefix={artifacts}/",
                                  new, CORPUS / target])
    return Result(target, ended.returncode, ended.stdout, next(artifacts.iterdir(), None))


def grow(program: Path, target: str, seconds: int, seed: int) -> None:
    """Add to the corpus what reaches edges that it does not."""
    (CORPUS / target).mkdir(parents=True, exist_ok=True)
    fuzz(program, target, f"-max_total_time={seconds}", seed).show(1)
    ended = run(program, target, ["-set_cover_merge=1", "-use_counters=0", f"-max_len={LONGEST}", CORPUS / target,
                                  program.parents[1] / "new" / target])
    print("\n".join(ended.stdout.splitlines()[-3:]))


def show_coverage(number: int) -> bool:
    """Which lines of the logic the corpus reaches."""
    place = BUILD / "all"
    program = build("counted", COUNTED, place)
    profiles = []
    for target in targets():
        profile = place / f"{target}.profraw"
        os.environ["LLVM_PROFILE_FILE"] = str(profile)
        run(program, target, ["-runs=1", *sorted((CORPUS / target).iterdir())])
        profiles.append(profile)
    merged = place / "profdata"
    output_of(["llvm-profdata-19", "merge", "-sparse", "-o", merged, *profiles])
    lcov = output_of(["llvm-cov-19", "export", "-format=lcov", f"-instr-profile={merged}", program, "-sources",
                      TOP / "rust"])
    # A file that is compiled twice has two records.
    files: dict[str, dict[int, bool]] = {}
    for record in lcov.split("end_of_record"):
        name = re.search(r"^SF:.*/(rust/.*)$", record, re.M)
        for line, count in re.findall(r"^DA:(\d+),(\d+)", record, re.M) if name else []:
            counts = files.setdefault(name[1], {})
            counts[int(line)] = counts.get(int(line), False) or count != "0"
    lines = reached = 0
    for name, counts in sorted(files.items()):
        missed = ", ".join(str(line) for line, hit in counts.items() if not hit)
        lines, reached = lines + len(counts), reached + sum(counts.values())
        print(f"# {name}: {100 * sum(counts.values()) / len(counts):.0f} % of {len(counts)} lines" +
              (f", not {missed}" if missed else ""))
    percent = 100 * reached / lines if lines else 0.0
    print(f"# tried: {reached} of the {lines} lines of the pure logic, {percent:.1f} %")
    passed = percent >= WANTED_COVERAGE
    print(f"{'ok' if passed else 'not ok'} {number} the corpus reaches {WANTED_COVERAGE:.0f} % of the logic's lines",
          flush=True)
    return passed


def fuzz_all(seconds: int, seed: int, jobs: int) -> bool:
    names = targets()
    print(f"KTAP version 1\n1..{len(names) + 1}\n# seed {seed}, {seconds} s for each target", flush=True)
    program = build("guided", GUIDED, BUILD / "all")
    with ThreadPoolExecutor(jobs) as pool:
        results = pool.map(lambda target: fuzz(program, target, f"-max_total_time={seconds}", seed), names)
        passed = [result.show(number) for number, result in enumerate(results, 1)]
    return all([*passed, show_coverage(len(names) + 1)])


def fuzz_one(target: str, runs: int, seed: int) -> bool:
    print(f"KTAP version 1\n1..1\n# seed {seed}, {runs:,} inputs", flush=True)
    result = fuzz(build("guided", GUIDED, BUILD / target), target, f"-runs={runs}", seed)
    return result.show(1) and result.executions >= runs


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("target", nargs="?", choices=targets(), help="only this one, on FILES")
    parser.add_argument("files", nargs="*", type=Path, metavar="FILE", help="an input")
    parser.add_argument("--grow", action="store_true", help="add to the target's corpus, or to all")
    parser.add_argument("--runs", type=int, help="give the target so many inputs")
    parser.add_argument("--seconds", type=int, default=int(os.environ.get("FUZZ_SECONDS") or 3),
                        help="for each target [FUZZ_SECONDS]; default: 3")
    parser.add_argument("--seed", type=int, default=int(os.environ.get("FUZZ_SEED") or 1),
                        help="of what is tried [FUZZ_SEED]; default: 1")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1,
                        help="targets at a time; default: as many as there are processors")
    arguments = parser.parse_args()
    place = BUILD / (arguments.target or "all")
    if arguments.grow:
        program = build("guided", GUIDED, place)
        for target in [arguments.target] if arguments.target else targets():
            grow(program, target, arguments.seconds, arguments.seed)
        return 0
    if arguments.runs:
        if not arguments.target or arguments.files:
            parser.error("--runs is for one target, without files")
        return 0 if fuzz_one(arguments.target, arguments.runs, arguments.seed) else 1
    if arguments.target:
        ended = run(build("guided", GUIDED, place), arguments.target, arguments.files)
        print(ended.stdout)
        return ended.returncode
    return 0 if fuzz_all(arguments.seconds, arguments.seed, arguments.jobs) else 1


if __name__ == "__main__":
    sys.exit(main())
