#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# The main job: a guest that owns a NIC gets its MSI-X interrupts. Would catch:
# Xen refusing to map them, because it does not know the NIC's MSI-X table.

. "${0%/*}/ktap.sh"
. "${0%/*}/guests"

wants $nic1

# With the stock driver alone, Xen has refused the mappings.
examined() {
	report=$(pcidev doctor n | tr -s ' \n' ' ')
	if is_loaded xen_pcidev; then
		case $report in *"guest n (domain "*" works has $nic1; "*"MSI and MSI-X bound: "*) ;; *) die "$report" ;; esac
		case $report in *qemu-log*) die "$report" ;; esac
	else
		case $report in *"fails qemu-log: Xen does not know the MSI-X table"*) ;; *) die "$report" ;; esac
	fi
}

# The device model's log has the name of the guest.
by_number() {
	domain=$(xl domid n)
	[ "$(pcidev doctor $domain | grep '^guest ')" = "guest n (domain $domain)" ] || die "$(pcidev doctor $domain)"
	file=/run/report-$domain
	said=$(pcidev report $domain --output $file 2>&1) || die "$said"
	log=$(grep -A 1 '^===== /var/log/xen/qemu-dm-n.log$' $file) || die "no log: $said"
	case $log in *"not to be had"*) die "$log" ;; esac
	rm $file
}

examined_later() {
	report=$(pcidev doctor n | tr -s ' \n' ' ')
	case $report in *"guest n: does not run "*) ;; *) die "$report" ;; esac
	! report=$(pcidev doctor nobody 2>&1) || die "$report"
	case $report in "pcidev: nobody: neither a function"*) ;; *) die "$report" ;; esac
}

plan 8
check "a guest that owns the NIC comes up" start_guest n "" $nic1
check "it pings by MSI-X" can_ping n $mac1 $net1 "$msix"
check "the device model mapped every interrupt" no_mapping_error n
check "pcidev doctor explains what the guest has" examined
check "a guest can be named by its number" by_number
check "the guest is destroyed" destroyed n
check "pcidev doctor knows that it was there" examined_later
check "the NIC is returned" returned $nic1
finish
