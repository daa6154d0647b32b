# SPDX-License-Identifier: GPL-2.0
"""How the tests in Python beside this file tell what they found."""

from collections.abc import Callable, Mapping
from typing import Any


def run(tests: Mapping[str, Callable[..., list[str]]], *arguments: Any) -> int:
    """Call each, which returns what is wrong, and print KTAP; returns the exit status."""
    failed = 0
    print("KTAP version 1", f"1..{len(tests)}", sep="\n", flush=True)
    for number, (title, test) in enumerate(tests.items(), 1):
        try:
            problems = test(*arguments)
        except (RuntimeError, OSError) as error:
            problems = [str(error)]
        for line in "\n".join(problems).splitlines():
            print(f"# {line}")
        print("not ok" if problems else "ok", number, title, flush=True)
        failed += bool(problems)
    return 1 if failed else 0
