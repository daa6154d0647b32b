#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# PV guests that end in each state of their connection, destroyed or by a crash of their own. Would
# catch: a function that nobody gets any more or that is of no use, and whatever of a guest
# stays in dom0, Xen, or XenStore.

. "${0%/*}/ktap.sh"
. "${0%/*}/guests"
. "${0%/*}/pv-guests"
. "${0%/*}/pv-uses"

wants $nic1 $ahci

backend_state() {
	xenstore-read /local/domain/0/backend/pci/$(xl domid p)/0/state
}

is_reconfiguring() {
	[ "$(backend_state)" = 7 ]
}

events() {
	awk '/ xen-pciback/ { n += $2 } END { print n + 0 }' /proc/interrupts
}

# A frontend that is no driver, of a guest that does nothing else. So many answers keep it going.
sends() {
	tell p <<-'END' || return
		modprobe xen-evtchn && modprobe xen-gntalloc || exit
		hostile-frontend 1 3600 device/pci/0 1000000000 >/run/frontend 2>&1 &
	END
	wait_for 20 eval '[ $(events) -gt 100 ]'
}

# Each leaves the guest in its state.
without_a_driver() {
	comes p $nic1 $ahci
	same "state of the backend" 4 "$(backend_state)"
}

by_line() {
	comes p $nic1 $ahci && uses_nic p 0 $mac1 $net1 "$pcifront_intx"
	[ "$(xen_counts)" != "$unused" ] || die "it has nothing in Xen"
}

by_msi() {
	comes p $nic1 $ahci && reads_by_msi p || return
	echo 'while :; do echo 3 >/proc/sys/vm/drop_caches; cat /dev/sda; done >/dev/null 2>&1 &' | tell p
	[ "$(xen_counts)" != "$unused" ] || die "it has nothing in Xen"
}

# The toolstack takes the NIC, and the guest does not let go.
in_a_detach() { # DEATH
	case $1 in
	destroyed)
		comes p $nic1 $ahci && uses_nic p 2 $mac1 $net1 "$pcifront_msix" && xl pause p || return ;;
	crashed)
		pv_guest p $nic1 $ahci && sends || return ;;
	esac
	xl pci-detach p $nic1 >$tmp/detach 2>&1 &
	detach=$!
	wait_for 20 is_reconfiguring
}

in_operations() {
	pv_guest p $nic1 $ahci && sends || return
	served=$(events)
	sleep 1
	[ $(events) -gt $((served + 20)) ] || die "it sends no more: $(echo 'cat /run/frontend' | tell p)"
}

# xl crashes if xl pci-detach takes one of several functions meanwhile.
destroyed_now() {
	xl destroy p || { [ "$detach" ] && xl destroy p; }
}

# It has no time to answer.
crashed_now() {
	! echo 'echo c >/proc/sysrq-trigger' | tell p >/dev/null 2>&1
}

ends() { # STATE DEATH
	gone p || xl destroy p
	detach=
	$1 $2 || die "it does not get there: $(log | tail -n 5)"
	$2_now || die "it is not $2"
	until_gone p
	if [ "$detach" ]; then
		wait $detach
		free_unreset $nic1
	else
		free $nic1
	fi && free_unreset $ahci || return
	same "table" held "$(cat $devices/$nic1/xen/msix)"
	dom0_uses_them && nothing_left
}

dom0_uses_them() {
	nics_in_dom0 2 "$msix" $nic1 $mac1 $net1 || die "the NIC is of no use in dom0"
	returned $ahci
	modprobe ahci && modprobe sd_mod
	[ "$(driver_of $ahci)" ] || echo $ahci >$drivers/ahci/bind || die "no disk in dom0"
	wait_for 20 test -e /dev/sda
	same "disk" "$(written | sha256sum)" "$(head -c $(written | wc -c) /dev/sda | sha256sum)"
	echo $ahci >$drivers/ahci/unbind
	assignable $ahci
}

plan 11
assignable $nic1 $ahci
check "dom0 uses a NIC and a disk" dom0_uses_them
# What dom0 once has it keeps.
idle=$(counts_of_guests) unused=$(xen_counts)
for death in destroyed crashed; do
	check "a PV guest without a driver of its functions is $death" ends without_a_driver $death
	check "one that uses a line is $death" ends by_line $death
	check "one that uses MSI is $death" ends by_msi $death
	check "one that does not let go of what is detached is $death" ends in_a_detach $death
	check "one that sends requests is $death" ends in_operations $death
done
returned $nic1 $ahci
finish
