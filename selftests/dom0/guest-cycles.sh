#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# CYCLE_GUESTS guests, one after the other, own the same device. Would catch: a pirq, an
# irq or a mapping that is left each time, and a hold that does not last.
#
# CYCLE_PV=yes: each second one is a PV guest.

. "${0%/*}/ktap.sh"
. "${0%/*}/guests"

guests=${CYCLE_GUESTS:-4}
wants $nic1

# In this boot (tests.toml).
sleeps() {
	[ "$(cat /sys/module/xen_pciback/parameters/idle_d3 2>/dev/null)" = Y ] || return 0
	wait_for 5 grep -qx D3hot $devices/$nic1/power_state
}

cycle() { # [--pv]
	sleeps
	cat >$tmp/cycle <<-END
		${1:+modprobe xen-pcifront}
		modprobe e1000e
		pings $mac1 $net1 '$msix'
	END
	guest-run $1 --name c --pci $nic1 "$(in_guest <$tmp/cycle)" &&
		same "held" held "$(cat $devices/$nic1/xen/msix)" &&
		same "left in Xen" "$idle" "$(xen_counts)"
}

plan $((guests + 2))
check "the device is made assignable" assignable $nic1
idle=$(xen_counts)
for n in $(seq $guests); do
	if [ "${CYCLE_PV-}" ] && [ $((n % 2)) = 0 ]; then
		check "guest $n, PV, pings by MSI-X and leaves nothing in Xen" cycle --pv
	else
		check "guest $n pings by MSI-X and leaves nothing in Xen" cycle
	fi
done
check "the device is returned" returned $nic1
finish
