#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Functions with MSI-X and a function level reset. Would catch: Xen being told of
# the reset while the BARs are zero. It then finds dom0's memory where the MSI-X
# table would be (EEXIST), and the function cannot be seized; or, after it was
# returned, has no MSI-X in dom0.

. "${0%/*}/ktap.sh"

has_flr_and_msix() { # SBDF
	has_msix $1 && grep -qw flr $devices/$1/reset_method
}

# What a reset must leave as it was.
registers() { # SBDF
	for bar in 0 1 2 3 4 5; do config $1 BASE_ADDRESS_$bar.l; done
	echo "decoding $((0x$(config $1 COMMAND) & 3))"
}

each() { # COMMAND: for every function
	for function in $functions; do $1 $function || die "$function"; done
}

taken() { # SBDF
	before=$(registers $1)
	seize $1
	same "registers of $1" "$before" "$(registers $1)"
	same "reset methods of $1" "$methods" "$(cat $devices/$1/reset_method)"
}

round() { # SBDF
	methods=$(cat $devices/$1/reset_method)
	taken $1
	give_back $1
	same "registers of returned $1" "$before" "$(registers $1)"
	same "reset methods of returned $1" "$methods" "$(cat $devices/$1/reset_method)"
}

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
		same "driver of $function" pciback "$(driver_of $function)"
		same "MSI-X table of $function" held "$(cat $devices/$function/xen/msix 2>&1)"
	done
}

unhidden() {
	each give_back
	rmmod xen_pciback
	modprobe xen-pciback
}

functions=$(spare_functions has_flr_and_msix)
[ "$functions" ] || skip_all "no spare function with MSI-X and FLR"

plan 5
check "they are seized and returned, with their registers as they were" each round
check "and once more" each round
check "NVMe interrupts in dom0 after it was returned" nvme_reads
check "hide= seizes them when xen-pciback is loaded, and their tables are held" hidden
check "those are returned" unhidden
finish
