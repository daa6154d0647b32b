#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# A device that is taken from under a guest. Would catch: an MSI-X entry masked
# under a guest that uses it, a guest that cannot be destroyed any more because
# nobody answers for its device, and a hold that is never given back.

. "${0%/*}/ktap.sh"
. "${0%/*}/guests"

wants $nic1

unbind() {
	echo $nic1 >$pciback/unbind
	same "driver" "" "$(driver_of $nic1)"
}

stays_held() {
	same "MSI-X table" held "$(cat $devices/$nic1/xen/msix)"
	log | grep -q "$nic1.*stays held for guests" || die "the log does not say so"
}

module_stays() {
	! rmmod xen_pcidev 2>$tmp/rmmod || die "the module could be unloaded"
	cat $tmp/rmmod
}

given_back() {
	assignable $nic1 && returned $nic1
	same "MSI-X table" free "$(cat $devices/$nic1/xen/msix)"
}

reload() {
	rmmod xen_pcidev && load_pcidev
}

again() {
	start_guest v "" $nic1 && can_ping v $mac1 $net1 "$msix"
	status=$?
	xl destroy v
	returned $nic1
	return $status
}

plan 9
check "a guest that owns the NIC comes up" start_guest u "" $nic1
check "it pings by MSI-X" can_ping u $mac1 $net1 "$msix"
check "the NIC is unbound from xen-pciback under the guest" unbind
check "its MSI-X table stays held, and the log says so" stays_held
check "the module cannot be unloaded" module_stays
check "the guest is destroyed all the same" destroyed u
check "the hold is given back when dom0 has the device again" given_back
check "the module can be unloaded, and loaded again" reload
check "a guest can have the device again, and pings by MSI-X" again
finish
