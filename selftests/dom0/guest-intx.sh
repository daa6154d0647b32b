#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# One guest with two devices on one INTx line, taken away and given back in both
# orders. Would catch: the line being unmapped for both when one is taken away,
# after which the other is deaf and the guest cannot be destroyed.

. "${0%/*}/ktap.sh"
. "${0%/*}/guests"

wants $nic1 $nic2

detach_and_attach() { # LEAVES STAYS MAC NETWORK (of the one that stays) MAC NETWORK
	xl pci-detach g $1 || die "$1 cannot be detached"
	can_ping g $3 $4 "$intx" || die "$2 is deaf after $1 left"
	xl pci-attach g $1 || die "$1 cannot be attached again"
	can_ping g $5 $6 "$intx" || die "$1 is deaf after it came back"
	can_ping g $3 $4 "$intx" || die "$2 is deaf after $1 came back"
}

both_leave() {
	xl pci-detach g $nic1 && xl pci-detach g $nic2 || die "cannot detach both"
	! xl pci-list g | grep -q 0000: || die "$(xl pci-list g)"
	xl pci-attach g $nic2 && can_ping g $mac2 $net2 "$intx" || die "$nic2 is deaf after it came back alone"
	xl pci-attach g $nic1 && can_ping g $mac1 $net1 "$intx" || die "$nic1 is deaf after it came back"
}

one_line() {
	same "the GSI of $nic2" "$(get-gsi $nic1)" "$(get-gsi $nic2)"
}

refuses_module() {
	tell g <<-'END'
		insmod /modules/xen-pcidev.ko 2>&1 && exit 1
		# The insmod of busybox tries twice.
		said=$(dmesg | grep xen_pcidev: | grep -v taint | sed 's/.*xen_pcidev: //' | sort -u)
		echo "$said"
		[ "$said" = "needs a PVH dom0 (Xen option dom0=pvh); this is HVM guest" ]
	END
}

plan 8
check "a guest that owns both comes up" start_guest g pci=nomsi $nic1 $nic2
check "both NICs ping by INTx" eval 'can_ping g $mac1 $net1 "$intx" && can_ping g $mac2 $net2 "$intx"'
check "the first leaves and comes back" detach_and_attach $nic1 $nic2 $mac2 $net2 $mac1 $net1
check "the second leaves and comes back" detach_and_attach $nic2 $nic1 $mac1 $net1 $mac2 $net2
check "both leave, and come back in the other order" both_leave
check "xen-pcidev refuses to load in the guest, and says why" refuses_module
check "the guest is destroyed with both" destroyed g
check "both are returned" returned $nic1 $nic2
finish
