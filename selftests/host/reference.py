#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Compare what the modules show to users with what Documentation/ says of it.

Files in sysfs, the device node, module parameters, ioctls, trace events, udev's
variables and messages, each by name: what is in the sources and not described
is found, and what is described and not in the sources. The same of the messages of
libxl about functions, in its library. Prints KTAP.
"""

import argparse
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import ktap

TOP = Path(__file__).resolve().parents[2]

STRING = r'"((?:[^"\\]|\\.)*)"'
# The first string after one of these is a message.
LOGGED = re.compile(rf"\b(?:(?:dev|pr)_(?:emerg|alert|crit|err|warn|notice|info)!|\.report)\([^\"]*?{STRING}")
# Only what differs, put in front of another message.
WORDLESS = re.compile(r"[^a-z]*$")
MESSAGES = "Documentation/admin-guide/messages.rst"
XL_MESSAGES = "Documentation/admin-guide/messages-xl.rst"
QUOTING = [f"Documentation/admin-guide/{name}.rst" for name in ("troubleshooting", "messages-xl")]
LIBXL = "/usr/lib/x86_64-linux-gnu/libxenlight.a"
# Of its object for functions: parts of other messages, and what only "xl -v" prints.
LIBXL_NOT_SHOWN = {
    "already assigned to a different guest", "cannot be assigned - no IOMMU", "Device Model",
    "Creating pci backend", "pci backend at %s is not ready", "Adding new pci device to xenstore",
    "Adding new pci device to config", "Driver re-plug path: %s", "'%s' -> %s"}
CONST_NAME = r"""const NAME: &'static CStr = c"([\w/]+)";"""


class Tree:
    """The sources and the documentation. A file may be given another text, for a test of the test."""

    def __init__(self, changed: tuple[str, str, str] | None = None) -> None:
        self.changed = changed

    def text(self, name: str) -> str:
        text = (TOP / name).read_text(encoding="utf-8")
        if self.changed and name == self.changed[0]:
            _, old, new = self.changed
            if old not in text:
                raise RuntimeError(f"{name} has no {old!r} any more: change this test")
            text = text.replace(old, new, 1)
        return text

    def all(self, pattern: str) -> Iterator[str]:
        """The texts of all files that match, of sources without their own tests and comments."""
        for path in sorted(TOP.glob(pattern)):
            text = re.sub(r"^ *//.*", "", self.text(str(path.relative_to(TOP))), flags=re.M)
            yield re.split(r"^#\[(?:kernel::macros::)?kunit_tests", text, flags=re.M)[0]


def compare(what: str, in_code: set[str], in_text: set[str]) -> list[str]:
    if not in_code:
        return [f"no {what} is found in the sources: change this test"]
    return [f"{what} {name}: not described" for name in sorted(in_code - in_text)] + [
        f"{what} {name}: described, and not in the sources" for name in sorted(in_text - in_code)]


def described(tree: Tree, pattern: str) -> set[str]:
    """The names that the files of the ABI describe."""
    return {name for text in tree.all("Documentation/ABI/testing/*")
            for name in re.findall(rf"^What:\s+({pattern})$", text, re.M)}


def sysfs(tree: Tree) -> list[str]:
    names = set()
    for text in tree.all("rust/*/*.rs"):
        files = re.findall(rf"impl File<PciBack> for \w+ \{{\s*{CONST_NAME}", text)
        names |= {f"/sys/bus/pci/drivers/pciback/{name}" for name in files}
        attributes = re.findall(r'^ +(?:sysfs::)?File::(?:new|private|writable)\(c"(\w+)"', text, re.M)
        for group in re.findall(r'const DIRECTORY: .*= c"(\w+)"', text):
            names |= {f"/sys/bus/pci/devices/<dev>/{group}/{name}" for name in attributes}
    return compare("file", names, described(tree, r"/sys/bus/pci/.*[^/]"))


def parameters(tree: Tree) -> list[str]:
    names = set()
    for path in ("rust/pcidev/pcidev.rs", "rust/pciback/pciback.rs"):
        text = tree.text(path)
        module = re.search(r'module! \{[^}]*name: "(\w+)"', text)
        found = re.findall(r'^    (?:writable )?[A-Z0-9_]+: c"(\w+)"', text, re.M) + ["fault"] * ("fault_param!" in text)
        names |= {f"/sys/module/{module[1]}/parameters/{name}" for name in found}
    return compare("parameter", names, described(tree, r"/sys/module/.*"))


def nodes(tree: Tree) -> list[str]:
    names = {f"/dev/{name}" for text in tree.all("rust/pcidev/*.rs")
             for name in re.findall(rf"impl MiscDevice for \w+ \{{\s*{CONST_NAME}", text)}
    return compare("node", names, described(tree, r"/dev/.*"))


def ioctls(tree: Tree) -> list[str]:
    header, manual = tree.text("rust/uapi/xen/pcidev.h"), tree.text("Documentation/pcidev-ioctl.rst")
    names = set(re.findall(r"^#define (XEN_PCIDEV_\w+)[ \t]", header, re.M)) - {"XEN_PCIDEV_IOC_TYPE"}
    fields = set(re.findall(r"^\t(?:__u\d+|struct \w+) (\w+)(?:\[\])?;", header, re.M))
    entries = "".join(re.findall(r"^(\*\w+.*) \((?:in|out|in, out)\)$", manual, re.M))
    # With "*" it is a family, each of which is described by its own name elsewhere.
    return (compare("constant", names, set(re.findall(r"XEN_PCIDEV_\w+\b(?!\*)(?<!_)", manual)))
            + compare("field", fields, set(re.findall(r"\*(\w+)(?:\[\])?\*", entries))))


def traces(tree: Tree) -> list[str]:
    events = re.findall(r"TRACE_EVENT\((\w+),(.*?)TP_fast_assign", tree.text("rust/pcidev/trace.h"), re.S)
    guide = tree.text("Documentation/admin-guide/xen-pcidev.rst").partition("\nTracing\n")[2]
    table = guide.partition("event           fields")[2].split("\n==========")[1]
    rows = re.findall(r"^(\w+) +(.*(?:\n {16}.*)*)", table.partition("\n")[2], re.M)
    # All tell the function.
    names = {f"{name}({field})" for name, text in events
             for field in {"", *re.findall(r"__field\(\w+, (\w+)\)", text)} - {"sbdf"}}
    return compare("trace event", names, {f"{name}({field})" for name, text in rows
                                          for field in ["", *re.findall(r"\*(\w+)\*", text)]})


def variables(tree: Tree) -> list[str]:
    names = {name for text in tree.all("rust/**/*.rs") for name in re.findall(r'"(XEN_PCI_\w+)=', text)}
    return compare("variable", names, set(re.findall(r"``(XEN_PCI_\w+)=", tree.text(MESSAGES))))


def entry(message: str) -> re.Pattern[str]:
    """A message as it is described: capitals, or one of the possible texts, stand for a value."""
    text = re.sub(r"\\(.)", r"\1", message.removesuffix(r"\n"))
    return re.compile(".+".join(re.escape(part) for part in re.split(r"\{[^{}]*\}", text)))


def messages(tree: Tree) -> list[str]:
    logged = {text for source in tree.all("rust/**/*.rs") for text in LOGGED.findall(source)
              if not WORDLESS.match(text.removesuffix(r"\n"))}
    terms = set(re.findall(r"^   ``(.*)``$", tree.text(MESSAGES), re.M))
    found = {term: {text for text in logged if entry(text).fullmatch(term)} for term in terms}
    if not logged:
        return ["no message is found in the sources: change this test"]
    return [f"message not described: {text}" for text in sorted(logged - set().union(*found.values()))] + [
        f"described, and not in the sources: {term}" for term, texts in sorted(found.items()) if not texts]


def quotations(tree: Tree) -> list[str]:
    """What a sentence about the kernel log quotes is a part of a message."""
    terms = [term for name in (MESSAGES, XL_MESSAGES) for term in re.findall(r"^   ``(.*)``$", tree.text(name), re.M)]
    sentences = [" ".join(sentence.split()) for name in QUOTING for sentence
                 in re.split(r"[.:]\s+(?=[A-Z*])|\n\n|^(?=\S)", tree.text(name), flags=re.M)]
    quoted = {text for sentence in sentences if re.search(r"\b(?:kernel|the) log\b", sentence)
              for text in re.findall("``(.+?)``", sentence)}
    if not quoted:
        return ["nothing is quoted from the kernel log: change this test"]
    return [f"no message: {text}" for text in sorted(quoted)
            if not any(text.removesuffix("...") in term for term in terms)]


def libxl_texts(member: str) -> set[str]:
    """The formats of one object of libxl, with addresses as one value."""
    data = subprocess.run(["ar", "p", LIBXL, member], check=True, stdout=subprocess.PIPE).stdout
    texts = (text.decode() for text in re.findall(rb"[\n -~]{4,}(?=\0)", data))
    return {re.sub(r"%0?4?x:%0?2?x:%0?2?x\.%(?:01)?[xu]", "%s", text.split("\n")[0]) for text in texts
            if " " in text and re.search("[a-z]{2}", re.sub("%[a-z]+", "", text))}


def libxl_entry(text: str) -> re.Pattern[str]:
    return re.compile(".+".join(re.escape(part) for part in re.split(r"(?:0x)?%#?[0-9]*l*[a-z]", text)))


def libxl_messages(tree: Tree) -> list[str]:
    shown = libxl_texts("libxl_pci.o") - LIBXL_NOT_SHOWN
    others = set().union(*(libxl_texts(f"libxl_{name}.o") for name in ("create", "dm", "x86")))
    terms = set(re.findall(r"^   ``(.*)``$", tree.text(XL_MESSAGES).partition("\nThe kernel, about")[0], re.M))
    return [f"message of libxl not described: {text}" for text in sorted(shown)
            if not any(libxl_entry(text).fullmatch(term) for term in terms)] + [
        f"described, and not in libxl: {term}" for term in sorted(terms)
        if not any(libxl_entry(text).fullmatch(term) for text in shown | others)]


def notices(test: Callable[[Tree], list[str]], name: str, old: str, new: str) -> Callable[[Tree], list[str]]:
    def changed(_: Tree) -> list[str]:
        return [] if test(Tree((name, old, new))) else ["nothing was noticed"]

    return changed


BACK_FILES, DEV = "rust/pciback/files.rs", "rust/pcidev/pcidev.rs"
UAPI, TRACE = "rust/uapi/xen/pcidev.h", "rust/pcidev/trace.h"
TESTS: dict[str, Callable[[Tree], list[str]]] = {
    "every file in sysfs is described": sysfs,
    "every module parameter is described": parameters,
    "the device node is described": nodes,
    "every ioctl, constant and field is described": ioctls,
    "every trace event is described with its fields": traces,
    "every variable that udev gets is described": variables,
    "every message is described": messages,
    "every message that is quoted exists": quotations,
    "every message of libxl about functions is described": libxl_messages,
    "a new file of the driver is noticed": notices(sysfs, BACK_FILES, 'c"slots"', 'c"slots2"'),
    "a new file of a function is noticed": notices(sysfs, "rust/pcidev/files.rs", 'c"irq"', 'c"irq2"'),
    "a file that is gone is noticed": notices(
        sysfs, "Documentation/ABI/testing/sysfs-bus-pci-devices-xen", "<dev>/xen/gsi", "<dev>/xen/gsi2"),
    "a new parameter is noticed": notices(parameters, DEV, 'HOLD: c"hold"', 'HOLD: c"hold2"'),
    "another node is noticed": notices(nodes, "rust/pcidev/ioctl.rs", 'c"xen/pcidev"', 'c"xen/pcidev2"'),
    "a new bit is noticed": notices(ioctls, UAPI, "XEN_PCIDEV_VALID_DOMID", "XEN_PCIDEV_VALID_DOMAIN"),
    "a new field is noticed": notices(ioctls, UAPI, "__u32 msix;", "__u32 msix2;"),
    "a new trace event is noticed": notices(traces, TRACE, "TRACE_EVENT(pcidev_hold,", "TRACE_EVENT(pcidev_hold2,"),
    "a new field of a trace event is noticed": notices(
        traces, TRACE, "__field(int, pirq)", "__field(int, pirq2)"),
    "another variable is noticed": notices(variables, "rust/pciback/driver.rs", "XEN_PCI_DOMAIN=", "XEN_PCI_GUEST="),
    "another message is noticed": notices(messages, "rust/pciback/driver.rs", "cannot notify udev", "could not notify udev"),
    "another message in XenStore is noticed": notices(messages, "rust/pciback/follow.rs", "is no address", "is none"),
    "a message that is gone is noticed": notices(messages, MESSAGES, "``cannot notify udev", "``could not notify udev"),
    "another quotation is noticed": notices(quotations, QUOTING[0], "``left stopped``", "``left switched off``"),
    "a message of libxl that is not described is noticed": notices(
        libxl_messages, XL_MESSAGES, "   ``Not bound to pciback``\n", ""),
    "a message of libxl that is gone is noticed": notices(libxl_messages, XL_MESSAGES, "``Name too", "``The name is too"),
}


def main() -> int:
    argparse.ArgumentParser(description=__doc__.splitlines()[0]).parse_args()
    return ktap.run(TESTS, Tree())


if __name__ == "__main__":
    sys.exit(main())
