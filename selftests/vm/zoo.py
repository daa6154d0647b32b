# SPDX-License-Identifier: GPL-2.0
"""The zoo: a server that plays PCI functions, and QEMU's options for these.

Documentation/zoo.rst describes it.
"""

import asyncio
import ctypes
import json
import signal
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

TOP = Path(__file__).resolve().parents[2]
PROGRAM = TOP / "build/zoo/zoo"
ANIMALS = TOP / "selftests/zoo/animals"

# One port for each card, eight of them in a slot; integrated cards have slots of their own.
PORTS_SLOT, INTEGRATED_SLOT = 0x10, 0x18


class ZooFailed(Exception):
    """The server did not start; the text says why."""


@dataclass
class Zoo:
    """The server with the cards of one machine."""

    names: list[str]
    log: Path
    folder: tempfile.TemporaryDirectory = field(default_factory=lambda: tempfile.TemporaryDirectory(prefix="zoo-"))
    process: asyncio.subprocess.Process | None = None
    cards: list[dict] = field(default_factory=list)
    control: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
    asking: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def start(self) -> None:
        """Run it; returns when its sockets are there."""
        files = [path(name) for name in self.names]
        if missing := [str(file) for file in (PROGRAM, *files) if not file.is_file()]:
            raise ZooFailed(f"missing: {' '.join(missing)}: {ANIMALS.relative_to(TOP)} has the animals, "
                            "'selftests/vm/setup zoo' builds the program")
        with self.log.open("ab") as log:
            self.process = await asyncio.create_subprocess_exec(
                PROGRAM, "serve", self.folder.name, *files, stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE, stderr=log, preexec_fn=end_with_parent)
        line = await self.process.stdout.readline()
        if not line:
            raise ZooFailed(self.log.read_text(encoding="utf-8", errors="replace").strip())
        ready = json.loads(line)
        self.cards = ready["cards"]
        self.control = await asyncio.open_unix_connection(ready["control"])

    def arguments(self, memory: int) -> list[str]:
        """Of QEMU. Functions reach the memory of the machine as a file."""
        options = ["-object", f"memory-backend-memfd,id=ram,size={memory}M,share=on", "-machine", "memory-backend=ram",
                   # Without the one, no mapping of the IOMMU reaches the server; without the other, a port's link stays
                   # down after its bus was reset.
                   "-global", "intel-iommu.caching-mode=on",
                   "-global", "ICH9-LPC.acpi-pci-hotplug-with-bridge-support=off"]
        ports = integrated = 0
        for card in self.cards:
            several = len(card["sockets"]) > 1
            if card["integrated"]:
                bus, slot = "pcie.0", card["slot"]
                if slot is None:
                    slot = INTEGRATED_SLOT + integrated
                    integrated += 1
            else:
                bus, slot = f"zoo-{card['name']}", 0
                place = f"{PORTS_SLOT + ports // 8:#x}.{ports % 8}"
                options += ["-device", f"pcie-root-port,id={bus},addr={place},chassis={0x80 + ports},"
                                       f"slot={0x80 + ports},multifunction=on"]
                ports += 1
            for number, path in enumerate(card["sockets"]):
                device = {"driver": "vfio-user-pci", "id": f"{card['name']}.{number}", "bus": bus,
                          "addr": f"{slot:#x}.{number}", "multifunction": several,
                          "socket": {"type": "unix", "path": path}}
                options += ["-device", json.dumps(device)]
            for name, file in card["firmware"].items():
                options += ["-fw_cfg", f"name={name},file={file}"]
        return options

    async def ask(self, request: str) -> dict:
        """Give the server a line of JSON; the answer has "ok" or "error"."""
        async with self.asking:
            reader, writer = self.control
            writer.write(request.encode() + b"\n")
            line = await reader.readline()
            return json.loads(line) if line else {"error": "the zoo has gone"}

    async def stop(self) -> None:
        if self.control:
            self.control[1].close()
        if self.process and self.process.returncode is None:
            self.process.terminate()
            await self.process.wait()
        self.folder.cleanup()


def path(name: str) -> Path:
    """The file of an animal: ours, or anybody's by a path."""
    file = name if name.endswith(".toml") else f"{name}.toml"
    return TOP / file if "/" in name else ANIMALS / file


def end_with_parent() -> None:
    """It removes its sockets, however we end."""
    pr_set_pdeathsig = 1
    ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGTERM)
