#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Ten guests, one after the other, own the same device. Would catch: a pirq, an
# irq or a mapping that is left each time, and a hold that does not last.

. "${0%/*}/ktap.sh"
. "${0%/*}/guests"

wants $nic1

cycle() {
	echo "modprobe e1000e; pings $mac1 $net1 '$msix'" >$tmp/cycle
	guest-run --name c --pci $nic1 "$(in_guest <$tmp/cycle)" &&
		same "held" held "$(cat $devices/$nic1/xen/msix)" &&
		same "left in Xen" "$idle" "$(xen_counts)"
}

plan 12
check "the device is made assignable" assignable $nic1
idle=$(xen_counts)
for n in 1 2 3 4 5 6 7 8 9 10; do
	check "guest $n of 10 pings by MSI-X and leaves nothing in Xen" cycle
done
check "the device is returned" returned $nic1
finish
