#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# The frontend of a PV guest connects and closes again and again, with a driver that takes a
# function by MSI-X each time, and what dom0, Xen and XenStore have is counted after the first, the
# tenth and the last time. Would catch: anything that each connection leaves behind.
#
# SOAK_ROUNDS: how often.

. "${0%/*}/ktap.sh"
. "${0%/*}/guests"
. "${0%/*}/soak-counts"
. "${0%/*}/pv-guests"
. "${0%/*}/pv-uses"

rounds=${SOAK_ROUNDS:-30}
# So many without an answer to dom0.
chunk=50
wants $nic1 $ahci

xen_pages() { # free ones
	dump H "dumping heap info" | sed -n 's/.*heap\[.* -> \([0-9]*\) pages.*/\1/p' | awk '{ n += $1 } END { print n + 0 }'
}

comes_to_stay() {
	comes p $nic1 && uses_nic p 2 $mac1 $net1 "$pcifront_msix"
}

# Each time the frontend's driver is bound anew, the guest finds the function, and its driver loads.
reconnect() { # TIMES
	tell p <<-END
		pcifront=/sys/bus/xen/drivers/pcifront nic=/sys/bus/pci/devices/0000:00:00.0
		for i in \$(seq $1); do
			echo pci-0 >\$pcifront/unbind
			[ ! -e \$nic ] || { echo "round \$i: the function stays"; exit 1; }
			echo pci-0 >\$pcifront/bind
			for j in \$(seq 500); do
				[ ! -e \$nic/net/*/address ] || continue 2
				busybox usleep 20000
			done
			echo "round \$i: no NIC"
			dmesg | tail -n 20
			exit 1
		done
	END
}

go_on() { # FROM TO
	left=$(($2 - $1))
	while [ $left -gt 0 ]; do
		n=$((left > chunk ? chunk : left))
		reconnect $n || return
		left=$((left - n))
	done
	can_ping p $mac1 $net1 "$pcifront_msix"
}

# The guest is there, and uses its function, whenever something is counted.
soak() { # ROUNDS [leak]
	go_on 0 1 && counts >$tmp/first || return
	go_on 1 10 && counts >$tmp/tenth || return
	go_on 10 $1 || return
	[ "$2" != leak ] || leave || return
	counts >$tmp/last
}

# Another guest, with a disk by MSI.
leave() {
	comes q $ahci && reads_by_msi q
}

seen_to_grow() {
	soak 12 leak || return
	! flat || die "nothing of it was seen"
	for what in $(cut -d' ' -f1 $tmp/table); do
		case $what in kB_of_memory | kB_of_slab | interrupts | interrupts_of_dom0 | open_files) continue ;; esac
		grep -q "^$what .*grows" $tmp/table || die "$what was left, and not seen: $(cat $tmp/table)"
	done
}

plan 5
assignable $nic1 $ahci
idle=$(counts_of_guests)
check "a PV guest pings by MSI-X" comes_to_stay
check "its frontend connects and closes $rounds times" soak $rounds
check "nothing is more after the last than after the tenth" flat
tried $rounds "connections of a PV frontend, with MSI-X in each"
sed 's/^/# /' $tmp/table
check "what is left behind on purpose is seen" seen_to_grow
xl destroy q
xl destroy p
check "nothing is left of it" eval 'until_gone p && until_gone q && free $nic1 && free_unreset $ahci && nothing_left'
returned $nic1 $ahci
finish
