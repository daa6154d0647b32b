# SPDX-License-Identifier: GPL-2.0
"""faults.py FUNCTION FUNCTION: the walks of faults.sh. Prints the points of KTAP."""

import argparse
import re
import sys
from dataclasses import dataclass

from dom0 import MODULES
from inject import Bad, Calls, Memory, Operation, walk
from operations import (Change, Detach, GiveBack, HandOver, Hide, LoadPciback, LoadPcidev, LookUp, NewSlot,
                        Override, ReadFiles, Reset, Return, Seize, SetQuirk, TakeAway, Unload, UnloadPcidev, home,
                        need, use)


@dataclass
class Walk:
    """What is walked over, and how many failures there are to be found at least."""

    fault: str
    least: int
    operation: type[Operation]
    what: str

    def run(self, each: int) -> int:
        fault = Calls(self.fault) if self.fault in MODULES else Memory(anywhere=self.fault == "anywhere")
        found = walk(self.operation(), fault, home, each)
        need(found >= (self.least if each == 1 else min(3, self.least)), f"only {found} failures")
        return found


WALKS = [
    Walk("xen_pcidev", 20, LoadPcidev, "xen-pcidev is loaded"),
    Walk("xen_pcidev", 0, UnloadPcidev, "xen-pcidev is unloaded"),
    Walk("xen_pcidev", 4, LoadPciback, "xen-pciback is loaded"),
    Walk("xen_pcidev", 8, Seize, "a function is bound"),
    Walk("xen_pcidev", 2, GiveBack, "a function is unbound"),
    Walk("xen_pcidev", 2, HandOver, "a function is handed over"),
    Walk("xen_pcidev", 2, Unload, "xen-pciback is unloaded with a function"),
    Walk("xen_pcidev", 1, LookUp, "functions are looked up"),
    Walk("xen_pciback", 4, LoadPciback, "xen-pciback is loaded"),
    Walk("xen_pciback", 30, Hide, "a function is hidden"),
    Walk("xen_pciback", 30, Seize, "a function is bound"),
    Walk("xen_pciback", 20, GiveBack, "a function is unbound"),
    Walk("xen_pciback", 20, Reset, "a function is reset"),
    Walk("xen_pciback", 15, HandOver, "a function is handed over"),
    Walk("xen_pciback", 10, Change, "the nodes of a guest change"),
    Walk("xen_pciback", 10, Detach, "one of two functions is detached"),
    Walk("xen_pciback", 20, Return, "a function is returned"),
    Walk("xen_pciback", 20, TakeAway, "a function is taken from a guest"),
    Walk("xen_pciback", 20, Unload, "xen-pciback is unloaded with a function"),
    Walk("memory", 20, LoadPcidev, "xen-pcidev is loaded"),
    Walk("memory", 0, UnloadPcidev, "xen-pcidev is unloaded"),
    Walk("memory", 10, LoadPciback, "xen-pciback is loaded"),
    Walk("memory", 10, Hide, "a function is hidden"),
    Walk("memory", 15, Override, "a function is bound by its driver_override"),
    Walk("anywhere", 20, Seize, "a function is bound"),
    Walk("memory", 0, GiveBack, "a function is unbound"),
    Walk("memory", 0, Reset, "a function is reset"),
    Walk("memory", 10, HandOver, "a function is handed over"),
    Walk("memory", 1, Return, "a function is returned"),
    Walk("memory", 1, TakeAway, "a function is taken from a guest"),
    Walk("memory", 1, Unload, "xen-pciback is unloaded with a function"),
    Walk("memory", 8, NewSlot, "new_slot is written"),
    Walk("memory", 1, SetQuirk, "quirks is written"),
    Walk("memory", 5, ReadFiles, "files are read"),
    Walk("memory", 5, LookUp, "GSIs are looked up"),
]


def report(number: int, each: int, point: Walk) -> bool:
    things = {"memory": "allocations", "anywhere": "allocations of others"}.get(
        point.fault, f"calls of {point.fault.replace('_', '-')}")
    text = f"{point.what}: {things} fail, and nothing is amiss"
    if point.fault not in MODULES and not Memory.is_possible():
        print(f"ok {number} {text} # SKIP this kernel has no failslab", flush=True)
        return True
    try:
        found = point.run(each)
    except (Bad, OSError) as e:
        print(*(f"# {line}" for line in str(e).splitlines()), f"not ok {number} {text}", sep="\n", flush=True)
        return False
    print(f"ok {number} {text}\n# tried: {found} failing {things}: {point.what}", flush=True)
    return True


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="walks whose name matches this expression")
    parser.add_argument("--each", type=int, required=True, help="of many failures, only each such")
    parser.add_argument("functions", nargs="*")
    arguments = parser.parse_args()
    points = [point for point in WALKS if re.search(arguments.only, f"{point.fault} {point.operation.__name__}")]
    if not arguments.functions:
        print(len(points))
        return 0
    use(*arguments.functions)
    results = [report(number, arguments.each, point) for number, point in enumerate(points, 1)]
    return results.count(False)


if __name__ == "__main__":
    sys.exit(main())
