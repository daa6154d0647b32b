#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# A guest that uses a function by MSI which has MSI-X as well. Xen then takes
# dom0's hold for the guest's own MSI-X, and miscounts. Would catch: a function that
# nobody can use by MSI-X any more until a reboot, dom0 neither.

. "${0%/*}/ktap.sh"
. "${0%/*}/guests"

wants $nic1

held() {
	same "table" held "$(cat $devices/$nic1/xen/msix)"
}

# Whether its interrupts arrive is not asked: e1000e tries, and may settle for INTx.
uses_msi() {
	echo "rmmod e1000e; modprobe e1000e IntMode=1; ip link set \$(nic $mac1) up" | tell m
	xl dmesg | tail -n 50 | grep "MSI-X already in use on $nic1"
}

again() {
	assignable $nic1 && held
}

plan 9
before=$(xen_counts)
check "the NIC is made assignable" assignable $nic1
check "a guest with it comes up" start_guest m "" $nic1
check "and uses it by MSI" uses_msi
check "the guest is destroyed" destroyed m
check "returned, it pings in dom0 by MSI-X" nic_in_dom0
check "assigned again, its MSI-X table is held" again
check "another guest comes up" start_guest n "" $nic1
check "and pings by MSI-X" can_ping n $mac1 $net1 "$msix"
xl destroy n
returned $nic1
check "nothing is left behind in Xen" same "interrupts and mappings" "$before" "$(xen_counts)"
finish
