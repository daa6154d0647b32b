#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Loading xen-pcidev where it has no business: on a PV dom0, in a guest, without
# Xen. Would catch: a hypercall that such a kernel must not make, and a refusal
# that does not say why.

. "${0%/*}/ktap.sh"

refused() {
	output=$(load_pcidev 2>&1) && die "it was loaded"
	case $output in
	*"No such device"*) ;;
	*) die "not ENODEV: $output" ;;
	esac
}

one_line() {
	lines=$(log | grep 'xen_pcidev: ' | grep -vE 'taint')
	case $lines in
	*"xen_pcidev: needs a PVH dom0 (Xen option dom0=pvh); this is $kind") ;;
	*) die "found: $lines" ;;
	esac
	same "lines in the log" 1 $(echo "$lines" | wc -l)
}

nothing_left() {
	! is_loaded xen_pcidev || die "it is there"
	[ ! -e /dev/xen/pcidev ] || die "its device node is there"
	! ls -d $devices/*/xen 2>/dev/null
}

case $(cat /sys/hypervisor/type 2>/dev/null):$(cat /sys/hypervisor/guest_type 2>/dev/null) in
xen:*) kind=$(cat /sys/hypervisor/guest_type) ;;
*) kind="no Xen" ;;
esac
case $kind:$(cat /proc/xen/capabilities 2>/dev/null) in
PVH:*control_d*) skip_all "this is a PVH dom0, where it loads" ;;
"no Xen:"*) ;;
*:*control_d*) kind="$kind dom0" ;;
*) kind="$kind guest" ;;
esac

plan 3
check "it refuses to load: $kind" refused
check "one line of the log says why" one_line
check "nothing of it is left" nothing_left
finish
