#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Loading our modules where they have no business: on a PV dom0, in a guest, without
# Xen. Would catch: a hypercall that such a kernel must not make, and a refusal
# that does not say why.

. "${0%/*}/ktap.sh"

refused() { # MODULE
	output=$(insmod "$(module_file $1)" 2>&1) && die "it was loaded"
	case $output in
	*"No such device"*) ;;
	*) die "not ENODEV: $output" ;;
	esac
}

one_line() { # MODULE
	lines=$(log | grep "$(echo $1 | tr - _): " | grep -vE 'taint')
	case $lines in
	*": needs a PVH dom0 (Xen option dom0=pvh); this is $kind") ;;
	*) die "found: $lines" ;;
	esac
	same "lines in the log" 1 $(echo "$lines" | wc -l)
}

nothing_left() {
	! is_loaded xen_pcidev && ! is_loaded xen_pciback || die "there is a module"
	[ ! -e /dev/xen/pcidev ] || die "there is a device node"
	[ ! -e $pciback ] || die "there is a driver"
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

is_loaded xen_pciback && skip_all "xen-pciback is loaded"
[ "$(module_file xen-pcidev)" ] || skip_all "our modules are not here"

plan 5
for module in xen-pcidev xen-pciback; do
	check "$module refuses to load: $kind" refused $module
	check "one line of the log says why it does" one_line $module
done
check "nothing of them is left" nothing_left
finish
