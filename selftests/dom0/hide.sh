#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Functions that xen-pciback takes when it is loaded (hide=), with MSI-X and a
# function level reset. Would catch: the remedies being applied before
# xen-pciback is done with a function, which it resets later then; a returned
# function that has no MSI-X in dom0; and other owners in Xen than the guide says.

. "${0%/*}/ktap.sh"

nvme_reads() {
	disk=$(for function in $functions; do
		case $(cat $devices/$function/class) in 0x0108*) echo $function ;; esac
	done | head -n 1)
	[ "$disk" ] || die "no NVMe function"
	modprobe nvme
	echo $disk >$drivers/nvme/bind 2>/dev/null
	name=
	i=0
	while [ -z "$name" ] && [ $i -lt 50 ]; do
		name=$(ls $devices/$disk/nvme/*/ 2>/dev/null | grep -E '^nvme[0-9]+n[0-9]+$')
		sleep 0.2
		i=$((i + 1))
	done
	[ "$name" ] || die "no disk behind $disk"
	dd if=/dev/$name of=/dev/null bs=64k count=16 iflag=direct 2>&1 || die "$name cannot be read"
	grep "$disk.*${name%n*}q[1-9]" /proc/interrupts | awk '{ for (i = 2; $i ~ /^[0-9]+$/; i++) n += $i } END { exit !n }' ||
		die "$(grep nvme /proc/interrupts)"
	echo $disk >$drivers/nvme/unbind
}

hidden() {
	rmmod xen_pciback
	list=$(printf '(%s)' $functions)
	modprobe xen-pciback hide=$list || die "xen-pciback does not load"
	for function in $functions; do
		i=0
		while [ "$(driver_of $function)" != pciback ] || [ "$(cat $devices/$function/xen/msix)" = free ]; do
			i=$((i + 1))
			[ $i -lt 50 ] || break
			sleep 0.1
		done
		same "driver of $function" pciback "$(driver_of $function)"
		same "MSI-X table of $function" held "$(cat $devices/$function/xen/msix 2>&1)"
	done
}

owner() { # SBDF: in Xen
	dump Q "==== PCI devices ====" | sed -n "s/.* $1 - \([^ :]*\).*/\1/p"
}

# The guide: hidden functions are dom0's until xl puts them into quarantine.
quarantined() {
	function=${functions%%[[:space:]]*}
	same "owner of a hidden function" d0 "$(owner $function)"
	xl pci-assignable-add $function || die "not assignable"
	same "owner of an assignable function" DomIO "$(owner $function)"
	xl pci-assignable-remove $function || die "not returned"
	same "owner of a returned function" d0 "$(owner $function)"
	seize $function
}

unhidden() {
	each give_back
	rmmod xen_pciback
	modprobe xen-pciback
}

# Until it has the function, xen-pciback keeps it by the same file.
override_stays() {
	function=${functions%%[[:space:]]*}
	override=$devices/$function/driver_override
	rmmod xen_pciback
	modprobe xen-pciback hide="($function)" &
	i=0
	until grep -q pciback $override; do
		i=$((i + 1))
		[ $i -lt 1000 ] || die "not kept for xen-pciback"
	done
	echo nobody >$override
	wait $!
	# The work of hide= has ended.
	rmmod xen_pciback
	same "driver_override" nobody "$(cat $override)"
	echo >$override
	modprobe xen-pciback
}

functions=$(spare_functions has_flr_and_msix)
[ "$functions" ] || skip_all "no spare function with MSI-X and FLR"

plan 5
check "hide= seizes them when xen-pciback is loaded, and their tables are held" hidden
check "a hidden function is quarantined by xl pci-assignable-add, not before" quarantined
check "they are returned" unhidden
check "NVMe interrupts in dom0 after that" nvme_reads
point="what somebody writes to driver_override meanwhile stays"
if [ -e /sys/module/xen_pciback/parameters/tell ]; then
	check "$point" override_stays
else
	skip "$point" "the stock xen-pciback does not use it"
fi
finish
