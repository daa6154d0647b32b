# SPDX-License-Identifier: GPL-2.0
"""ACPI tables that change what QEMU's q35 says of PCI functions."""

DEREF_OF, INDEX, STORE = b"\x83", b"\x88", b"\x70"
BYTE, DWORD, NOWHERE = b"\x0a", b"\x0c", b"\x00"
# \_SB.PCI0.PRTA: the routing with I/O APICs; four entries, INTA to INTD, for each device.
ROUTING = b"\\\x2f\x03_SB_PCI0PRTA"
NO_DEVICE = 0x00FFFFFF


def unroute(device: int, pin: int = 0) -> bytes:
    """Body of an SSDT that runs, when it is loaded, what would be written in ASL as

    Store (NO_DEVICE, Index (DerefOf (Index (\\_SB.PCI0.PRTA, 4 * device + pin)), 0))
    """
    entry = DEREF_OF + INDEX + ROUTING + BYTE + bytes([4 * device + pin]) + NOWHERE
    address = INDEX + entry + b"\x00" + NOWHERE
    return STORE + DWORD + NO_DEVICE.to_bytes(4, "little") + address


def proximity(domain: int) -> bytes:
    """Body of an SSDT that puts all functions of the root bus into a proximity domain, as

    Scope (\\_SB.PCI0) { Name (_PXM, domain) }
    """
    body = b"\\\x2e_SB_PCI0" + b"\x08_PXM" + BYTE + bytes([domain])
    return b"\x10" + bytes([len(body) + 1]) + body
