#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Limits of Xen and libxl that an administrator meets in the first week (hard.toml,
# [boot.guest-limits]): fewer interrupts for guests than a driver wants, and * for xl.
# Would catch: a doctor who is silent about the one, a guide that is wrong about the other.

. "${0%/*}/ktap.sh"
. "${0%/*}/guests"

first=0000:00:05.0 second=0000:00:05.1
wants $nic1 $first $second

says() { # TEXT: the doctor did, in lines of some length
	case $(echo $said) in *"$1"*) ;; *) die "$said" ;; esac
}

told_before() {
	said=$(pcidev doctor $nic1)
	says "MSI-X table has 5 entries, but all functions of a guest together can have 2"
	says "boot Xen with extra_guest_irqs="
}

told_after() {
	start_guest g "" $nic1
	can_ping g $mac1 $net1 "$msix" || echo "it cannot ping by MSI-X, as expected"
	grep "Mapping of MSI-X (err: 28" /var/log/xen/qemu-dm-g.log || die "QEMU did not fail"
	said=$(pcidev doctor g)
	says "its driver wants more interrupts than Xen allows a guest"
	says "boot Xen with a larger extra_guest_irqs="
	xl destroy g
	returned $nic1
}

# What the guide says. With a Xen that takes all, it has to say less.
star() {
	xl pci-assignable-add '00:05.*'
	same "after xl pci-assignable-add 00:05.*" $first "$(seized)"
	xl pci-assignable-remove $first
	rmmod xen_pciback
	modprobe xen-pciback 'hide=(00:05.*)'
	wait_for 10 is_seized $second
	same "after hide=(00:05.*)" "$first $second" "$(seized)"
}

seized() {
	basename -a $pciback/0000:* | xargs
}

plan 3
check "the doctor tells that a function may want too many interrupts" told_before
check "and of a guest whose driver wanted too many" told_after
check "xl takes one function for *, hide= takes all" star
finish
