# SPDX-License-Identifier: GPL-2.0
"""What faults.py walks over, and what has to be true after each failure."""

import errno
import fcntl
import os
import re
import struct
import time
from pathlib import Path

from dom0 import (DEVICES, MODULES, PCIBACK, get, insert, is_bound, is_loaded, put, registers, remove,
                  state, table)
from inject import Bad, Fault, Home, Log, Operation, wait
from xenstore import XenStore

NODE = Path("/dev/xen/pcidev")
# No domain has such a number.
GUEST = 32748
FRONTEND = f"/local/domain/{GUEST}/device/pci/0"
BACKEND = f"/local/domain/0/backend/pci/{GUEST}/0"
# One function with a function level reset, and another one, both with MSI-X. Or both are a card that its bus resets.
a = b = ""
# What is bound before a, which has no reset without it.
rest: tuple[str, ...] = ()
store: XenStore
untouched: dict[str, bytes] = {}


def use(first: str, second: str) -> None:
    """These functions, as they are now."""
    global a, b, rest, store
    a, b = first, second
    if a.partition(".")[0] == b.partition(".")[0]:
        rest = (b,)
    store = XenStore()
    untouched.update({function: registers(function) for function in (a, b)})


def need(truth: bool, complaint: str) -> None:
    if not truth:
        raise Bad(complaint)


def has(function: str) -> bool:
    return state(function) == f"assigned {GUEST}"


def switched_off(function: str, log: Log) -> bool:
    """Whether that was said."""
    return log.has(f"{function}: (left stopped|cannot restore COMMAND|unbound while assigned)")


def same_or_off(function: str, log: Log) -> None:
    need(switched_off(function, log) or registers(function) == untouched[function],
         f"registers of {function}: {registers(function).hex(' ', 4)}, not {untouched[function].hex(' ', 4)}")


def stays_on(function: str) -> bool:
    fd = os.open(DEVICES / function / "config", os.O_WRONLY)
    os.pwrite(fd, untouched[function][4:6], 4)
    os.close(fd)
    # One that was taken from its guest is reset, and stopped again, when that has gone.
    time.sleep(0.3)
    return registers(function) == untouched[function]


def switch_on(function: str, log: Log) -> None:
    if switched_off(function, log):
        wait(f"the registers of {function} as they were", lambda: stays_on(function))


def put_in(*functions: str) -> None:
    for function in functions:
        put("new_slot", function)
        put("bind", function)


def bind(*functions: str) -> None:
    put_in(*dict.fromkeys((*rest, *functions)))
    for function in functions:
        need(state(function) == "clean", f"{function} is {state(function)} when it is bound")
        need(table(function) == "held", f"the table of {function} is {table(function)} when it is bound")


def unbind(function: str) -> None:
    """Unless it is given up just now."""
    try:
        put("unbind", function)
    except OSError:
        if is_bound(function):
            raise


def is_unreset(log: Log) -> bool:
    """A function of a card cannot be reset without the other one, and the log says so."""
    return bool(rest) and log.has(f"{a}: (not reset|reset postponed)")


def is_back(log: Log) -> bool:
    """Reset, or given up, or waiting for its reset."""
    return state(a) in ("clean", "not bound") or is_unreset(log)


def settled(*functions: str) -> None:
    """What a failure has broken is given up behind the scenes."""
    def is_settled(function: str) -> bool:
        # Its files go first.
        return state(function) != "broken" and (state(function) != "not bound" or not is_bound(function))

    for function in functions:
        wait(f"an end of {function}'s offer", lambda function=function: is_settled(function))


def assign(*functions: str) -> None:
    """Nodes as libxl writes them."""
    nodes: dict[str, str | int] = {
        f"{FRONTEND}/backend": BACKEND, f"{FRONTEND}/backend-id": 0, f"{FRONTEND}/state": 1,
        f"{BACKEND}/frontend": FRONTEND, f"{BACKEND}/frontend-id": GUEST, f"{BACKEND}/online": 1,
        f"{BACKEND}/domain": "test", f"{BACKEND}/num_devs": len(functions), f"{BACKEND}/state": 1}
    for number, function in enumerate(functions):
        nodes |= {f"{BACKEND}/key-{number}": function, f"{BACKEND}/dev-{number}": function,
                  f"{BACKEND}/opts-{number}": "msitranslate=0", f"{BACKEND}/state-{number}": 1}
    store.write(nodes)


def was_told() -> bool:
    return store.read(f"{BACKEND}/state-0") == "3" and store.read(f"{BACKEND}/state") == "3"


def complained(log: Log) -> bool:
    return log.has(f"pci-{GUEST}-0: |probe.*pci-{GUEST}-0.*error|{a}: .*failed")


def gone() -> None:
    store.remove(BACKEND)
    store.remove(f"/local/domain/{GUEST}")


def home(log: Log) -> None:
    """As after the boot, by what an administrator can do; that it can be is what is tested."""
    gone()
    wait("the end of the backend", lambda: not Path(f"/sys/bus/xen-backend/devices/pci-{GUEST}-0").exists())
    for module in MODULES:
        if not is_loaded(module):
            insert(module)
    for function in (a, b):
        settled(function)
        if is_bound(function):
            wait(f"{function} to be returned", lambda: not has(function))
            put("unbind", function)
        switch_on(function, log)
        need(registers(function) == untouched[function],
             f"registers of {function}: {registers(function).hex(' ', 4)}, not {untouched[function].hex(' ', 4)}")
        # One that a failure was about is served again when it is bound again.
        if table(function) != "free":
            put_in(function)
            put("unbind", function)
        need(table(function) == "free", f"the table of {function} stays {table(function)}")
    for slot in get(PCIBACK / "slots").split():
        put("remove_slot", slot)


class Load(Operation):
    """With an error, nothing of the module is there. It takes long, so it is only done once a step."""

    modules: tuple[str, ...]

    def ready(self) -> None:
        for module in self.modules:
            if is_loaded(module):
                remove(module)

    def finish(self, home: Home, log: Log) -> None:
        # Without memory for "bind" and "unbind" Linux goes on, and tells: the module has to be loaded again.
        if log.has("add_bind_files") and is_loaded("xen_pciback"):
            remove("xen_pciback")
        for function in (a, b):
            settled(function)
            if is_bound(function):
                unbind(function)
            same_or_off(function, log)
            switch_on(function, log)


class LoadPcidev(Load):
    modules = ("xen_pciback", "xen_pcidev")

    def do(self, fault: Fault, number: int) -> None:
        insert("xen_pcidev", fault.parameters("xen_pcidev", number))

    def done(self, log: Log) -> None:
        # Without memory for its name devtmpfs makes no node, and tells nobody; udev could.
        need(NODE.exists() or Path("/sys/class/misc/xen!pcidev/dev").exists(), "no device node")
        for function in DEVICES.iterdir():
            need((function / "xen").exists() or log.has(f"{function.name}: xen-pcidev failed to prepare this function"),
                 f"{function.name} has no files")

    def failed(self, log: Log, error: OSError) -> None:
        need(not is_loaded("xen_pcidev"), "loaded in spite of an error")
        need(not NODE.exists(), "a device node is left")
        need(not list(DEVICES.glob("*/xen")), "files are left")


class UnloadPcidev(Operation):
    def ready(self) -> None:
        remove("xen_pciback")

    def do(self, fault: Fault, number: int) -> None:
        remove("xen_pcidev")

    def done(self, log: Log) -> None:
        if log.has("FAULT_INJECTION"):
            # devtmpfs needs memory to remove it.
            NODE.unlink(missing_ok=True)
        LoadPcidev().failed(log, OSError())

    def failed(self, log: Log, error: OSError) -> None:
        need(is_loaded("xen_pcidev"), "unloaded with an error")


class LoadPciback(Load):
    modules = ("xen_pciback",)

    def do(self, fault: Fault, number: int) -> None:
        insert("xen_pciback", fault.parameters("xen_pciback", number))

    def done(self, log: Log) -> None:
        need((PCIBACK / "new_slot").exists(), "no files")

    def failed(self, log: Log, error: OSError) -> None:
        need(not is_loaded("xen_pciback") and not PCIBACK.exists(), "loaded in spite of an error")
        need(not Path("/sys/bus/xen-backend/drivers/xen-pciback").exists(), "the driver of backends is left")


class Hide(LoadPciback):
    """With a function to hide, which is done behind the scenes."""

    behind = True

    def do(self, fault: Fault, number: int) -> None:
        log = Log()
        hide = "".join(f"({function})" for function in (*rest, a))
        insert("xen_pciback", [f"hide={hide}", *fault.parameters("xen_pciback", number)])
        # Of a card, it may be given up after the other one was hidden.
        given_up = "not hidden|withdrawn: reset failed"
        wait("an end of hiding",
             lambda: log.has(f"{a}: ({given_up})") or state(a) == "clean" or is_unreset(log))
        # It may still be on its way.
        end = f"{a}: ({given_up}|.*failed to prepare|guests cannot)"
        wait("an end of binding", lambda: table(a) == "held" or log.has(end))
        if not is_bound(a):
            raise OSError("not hidden")

    def failed(self, log: Log, error: OSError) -> None:
        need(not is_bound(a), "bound in spite of an error")
        same_or_off(a, log)


class Seize(Operation):
    def ready(self) -> None:
        put_in(*rest)
        put("new_slot", a)

    def do(self, fault: Fault, number: int) -> None:
        put("bind", a)

    def done(self, log: Log) -> None:
        need(state(a) == "clean", f"it is {state(a)}")
        need(table(a) == "held" or log.has(f"{a}: (xen-pcidev failed to prepare|guests cannot use)"),
             "its table is not held, without a word")

    def failed(self, log: Log, error: OSError) -> None:
        need(not is_bound(a), "bound in spite of an error")
        # Outside of our driver, there may be no more than the error.
        need(error.errno == errno.ENOMEM or log.has(f"{a}.*(not seized|error -|failed)"), "the log does not say so")
        same_or_off(a, log)


class Override(Seize):
    """By its driver_override, which adds it to the slots."""

    def ready(self) -> None:
        put_in(*rest)
        (DEVICES / a / "driver_override").write_text("pciback")

    def do(self, fault: Fault, number: int) -> None:
        try:
            put("bind", a)
        finally:
            fault.disarm()
            (DEVICES / a / "driver_override").write_text("\n")

    def failed(self, log: Log, error: OSError) -> None:
        super().failed(log, error)
        need(get(PCIBACK / "slots") == "", "it is left in slots")


class GiveBack(Operation):
    """One that a toolstack has used, so that it has to be reset."""

    def ready(self) -> None:
        bind(a)
        put("do_flr", a)

    def do(self, fault: Fault, number: int) -> None:
        put("unbind", a)

    def done(self, log: Log) -> None:
        need(not is_bound(a), "still bound")
        same_or_off(a, log)


class Reset(GiveBack):
    def do(self, fault: Fault, number: int) -> None:
        put("do_flr", a)

    def done(self, log: Log) -> None:
        need(state(a) == "touched", f"it is {state(a)}")

    def failed(self, log: Log, error: OSError) -> None:
        """One whose reset failed is not on offer any more."""
        settled(a)


class Unload(GiveBack):
    def do(self, fault: Fault, number: int) -> None:
        remove("xen_pciback")

    def done(self, log: Log) -> None:
        need(not is_loaded("xen_pciback"), "still loaded")
        super().done(log)

    def failed(self, log: Log, error: OSError) -> None:
        need(is_loaded("xen_pciback"), "unloaded with an error")


class HandOver(Operation):
    """A toolstack waits for state 3, or sees an error."""

    behind = True

    def ready(self) -> None:
        bind(a)

    def do(self, fault: Fault, number: int) -> None:
        log = Log()
        assign(a)
        wait("an answer", lambda: was_told() or complained(log))
        if not was_told():
            raise OSError("not handed over")

    def done(self, log: Log) -> None:
        need(has(a), f"told to be assigned, and is {state(a)}")

    def failed(self, log: Log, error: OSError) -> None:
        gone()
        wait(f"{a} to be free", lambda: not has(a))


class Change(Operation):
    """Neither of two functions is lost when something else changes."""

    behind = True

    def ready(self) -> None:
        bind(a, b)
        assign(a, b)
        wait("an answer", lambda: was_told() and has(a) and has(b))

    def do(self, fault: Fault, number: int) -> None:
        log = Log()
        store.write({f"{BACKEND}/opts-0": f"changed {number}", f"{BACKEND}/state": 7})
        wait("an answer", lambda: was_told() or complained(log))
        if complained(log):
            raise OSError("not followed")

    def done(self, log: Log) -> None:
        need(has(a) and has(b), "a function was lost")

    def failed(self, log: Log, error: OSError) -> None:
        self.done(log)


class Detach(Change):
    """One of two is given back."""

    def do(self, fault: Fault, number: int) -> None:
        log = Log()
        store.write({f"{BACKEND}/state-0": 5, f"{BACKEND}/state": 7})
        wait("an answer", lambda: not has(a) or complained(log))
        if has(a):
            raise OSError("not detached")
        # It is reset now.
        wait("its reset", lambda: is_back(log))

    def done(self, log: Log) -> None:
        need(has(b), "the other one was lost")

    def failed(self, log: Log, error: OSError) -> None:
        # What failed may be to tell that it is on its way back.
        wait(f"{a} to be somebody's", lambda: has(a) or is_back(log))
        self.done(log)


class Return(Operation):
    """The guest goes. What it had is reset, or not on offer any more."""

    behind = True

    def ready(self) -> None:
        bind(a)
        assign(a)
        wait("an answer", lambda: was_told() and has(a))

    def do(self, fault: Fault, number: int) -> None:
        log = Log()
        gone()
        wait(f"{a} to come back", lambda: is_back(log))
        if not is_bound(a):
            raise OSError("given up")

    def done(self, log: Log) -> None:
        same_or_off(a, log)

    def failed(self, log: Log, error: OSError) -> None:
        need(log.has(f"{a}: withdrawn: reset failed"), "the log does not say so")
        same_or_off(a, log)


class TakeAway(Return):
    """It is taken from its guest: nobody gets it before the guest is gone."""

    behind = False

    def do(self, fault: Fault, number: int) -> None:
        put("unbind", a)

    def done(self, log: Log) -> None:
        need(not is_bound(a), "still bound")
        try:
            put("bind", a)
        except OSError:
            return
        raise Bad("bound again though the guest has it")

    def failed(self, log: Log, error: OSError) -> None:
        need(has(a), f"it is {state(a)}")


class NewSlot(Operation):
    """All functions of a pattern are added, or none."""

    def do(self, fault: Fault, number: int) -> None:
        put("new_slot", "0000:1f:1e.*")

    def done(self, log: Log) -> None:
        need(len(get(PCIBACK / "slots").split()) == 8, get(PCIBACK / "slots"))

    def failed(self, log: Log, error: OSError) -> None:
        need(get(PCIBACK / "slots") == "", get(PCIBACK / "slots"))


class SetQuirk(Operation):
    """A quirk is replaced, or stays."""

    def ready(self) -> None:
        bind(a)
        put("quirks", f"{a}-40:1:ff")

    def do(self, fault: Fault, number: int) -> None:
        put("quirks", f"{a}-40:1:0f")

    def done(self, log: Log) -> None:
        need("00000040:1:0000000f" in get(PCIBACK / "quirks"), get(PCIBACK / "quirks"))

    def failed(self, log: Log, error: OSError) -> None:
        need("00000040:1:000000ff" in get(PCIBACK / "quirks"), get(PCIBACK / "quirks"))


class ReadFiles(Operation):
    """All that the modules' files say, or an error."""

    def ready(self) -> None:
        bind(a, b)
        put("permissive", a)
        put("quirks", f"{a}-40:1:ff")
        self.wanted = self.files()

    def files(self) -> list[bytes]:
        device = DEVICES / a
        return [path.read_bytes() for path in (
            *(PCIBACK / name for name in ("slots", "permissive", "allow_interrupt_control", "quirks", "irq_handlers")),
            *(device / "pciback" / name for name in ("state", "reset")),
            *(device / "xen" / name for name in ("gsi", "irq", "intx", "msix")))]

    def do(self, fault: Fault, number: int) -> None:
        self.seen = self.files()

    def done(self, log: Log) -> None:
        need(self.seen == self.wanted, f"{self.seen}, not {self.wanted}")


GET_GSI, GET_INFO, GET_LIST, GET_RESERVED = 0xBE00, 0xBE01, 0xBE02, 0xBE03
PRIVCMD_GET_GSI = 8 << 16 | ord("P") << 8 | 10
BY_GSI = 1


class LookUp(Operation):
    """The right answer, or an error, at every interface."""

    def ready(self) -> None:
        segment, bus, device, number = (int(text, 16) for text in re.split("[:.]", a))
        self.sbdf = segment << 16 | bus << 8 | device << 3 | number
        self.gsi = int(get(DEVICES / a / "xen/gsi"))
        self.wanted = self.answers()

    def answers(self) -> list[bytes]:
        room = 4096
        return [
            self.ask(NODE, GET_GSI, struct.pack("13I", 52, 0, self.sbdf, *[0] * 10)),
            self.ask(NODE, GET_INFO, struct.pack("13I", 52, 0, self.sbdf, *[0] * 10)),
            self.ask(NODE, GET_LIST, struct.pack("I", room).ljust(room, b"\0")),
            self.ask(NODE, GET_LIST, struct.pack("III", room, BY_GSI, self.gsi).ljust(room, b"\0")),
            self.ask(NODE, GET_RESERVED, struct.pack("III", room, 0, self.sbdf).ljust(room, b"\0")),
            self.ask(Path("/dev/xen/privcmd"), PRIVCMD_GET_GSI, struct.pack("II", self.sbdf, 0))]

    @staticmethod
    def ask(path: Path, request: int, argument: bytes) -> bytes:
        buffer = bytearray(argument)
        with path.open("rb+", buffering=0) as file:
            fcntl.ioctl(file, request, buffer)
        return bytes(buffer)

    def do(self, fault: Fault, number: int) -> None:
        self.seen = self.answers()

    def done(self, log: Log) -> None:
        need(self.seen == self.wanted, f"{self.seen}, not {self.wanted}")
