#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# A guest with a function that reboots, is paused, saved, restored and migrated. Would
# catch: a function that is not reset in between, or is lost to the next owner.

. "${0%/*}/ktap.sh"
. "${0%/*}/guests"

wants $nic1
state=$devices/$nic1/pciback/state

starts() {
	echo "modprobe e1000e" >$tmp/nothing
	guest-run --name m --keep --pci $nic1 --option 'on_reboot = "restart"' "$(in_guest <$tmp/nothing)" &&
		can_ping m $mac1 $net1 "$msix"
}

booted() { # TIMES
	[ "$(grep -c "guest: ready" /var/log/xen/console/guest-m.log)" = $1 ]
}

again() { # TIMES
	before=$(xl domid m)
	# Its answer never comes.
	guest-exec m -c "reboot -f" &
	wait_for 200 booted $1 || die "no boot $1: $(tail -n 20 /var/log/xen/xl-m.log)"
	wait
	[ "$(xl domid m)" != "$before" ] || die "it has not rebooted"
	echo "modprobe e1000e; pings $mac1 $net1 '$msix'" | tell m
}

paused() {
	xl pause m && xl unpause m && can_ping m $mac1 $net1 "$msix"
}

saved() {
	xl save m $tmp/saved && free $nic1 && same "state" clean "$(cat $state)"
}

restored() {
	xl restore $tmp/saved && rm $tmp/saved && same "state" "assigned $(xl domid m)" "$(cat $state)" &&
		can_ping m $mac1 $net1 "$msix"
}

# Xen cannot tell which memory a function's DMA writes to. To the host it is on.
not_migrated() {
	! said=$(xl migrate -s "" m "xl migrate-receive" 2>&1) || die "it was: $said"
	echo "$said" | grep -q "Failed to enable logdirty: .* Invalid argument" || die "$said"
}

plan 9
check "a guest that owns the NIC pings by MSI-X" starts
check "it does so after a reboot" again 2
check "and after another one" again 3
check "it does so after a pause" paused
check "it is saved, and its function is reset and free" saved
check "it is restored, has the function, and pings" restored
check "Xen refuses to migrate it" not_migrated
check "it stays where it is, and pings" can_ping m $mac1 $net1 "$msix"
check "the NIC is returned" eval 'xl destroy m; free $nic1 && returned $nic1'
finish
