#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# A PV guest loses its NIC while it uses it, and gets it again, by each kind of interrupts. Would
# catch: a function that comes back deaf, a line or a message that the guest keeps in Xen, and
# a NIC of no use to dom0 after that.
#
# PV_ROUNDS: how often it leaves.

. "${0%/*}/ktap.sh"
. "${0%/*}/guests"
. "${0%/*}/pv-guests"
. "${0%/*}/pv-uses"

wants $nic1
rounds=${PV_ROUNDS:-2}

# The guest has a line, or messages, only while a driver of its has them.
leaves_in_use() {
	[ "$(xen_counts)" != "$unused" ] || die "it has nothing in Xen"
	detached p $nic1 0000:00:00.0
	same "what it has in Xen" "$unused" "$(xen_counts)"
	# It is told by the driver, which may have nothing left to free.
	echo 'dmesg | grep -E "WARNING:|BUG:|Call Trace:" && dmesg | tail -n 60 || :' | tell p >$tmp/said
	[ ! -s $tmp/said ] || die "the guest complains: $(cat $tmp/said)"
}

leaves_and_comes_back() { # MODE KIND
	for round in $(seq $rounds); do
		leaves_in_use || return
		attached p $nic1 0000:00:00.0 && uses_nic p $1 $mac1 $net1 "$2" || die "round $round: deaf"
	done
}

ends() {
	xl destroy p && until_gone p && free $nic1
}

# Xen gives it interrupts of its line again, too.
dom0_gets_it() { # MODE KIND
	nics_in_dom0 $1 "$2" $nic1 $mac1 $net1 && nothing_left
}

plan 9
assignable $nic1
check "dom0 pings" nics_in_dom0 0 "$dom0_intx" $nic1 $mac1 $net1
idle=$(counts_of_guests) unused=$(xen_counts)
for mode in 2 0; do
	case $mode in
	2) name=MSI-X guests=$pcifront_msix dom0s=$msix ;;
	0) name=INTx guests=$pcifront_intx dom0s=$dom0_intx ;;
	esac
	check "a PV guest pings by $name" eval 'comes p $nic1 && uses_nic p $mode $mac1 $net1 "$guests"'
	check "it leaves in use, and pings by $name when it is back, $rounds times" leaves_and_comes_back $mode "$guests"
	check "the guest is destroyed in use, and the NIC is free" ends
	check "dom0 pings by $name, and nothing is left" dom0_gets_it $mode "$dom0s"
done
returned $nic1
finish
