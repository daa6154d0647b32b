#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# When a driver named pciback registers, xen-pcidev hears of every function that
# has no driver. Would catch: anything done to a function that nobody assigns.

. "${0%/*}/ktap.sh"

# What must not change: commands, BARs, irqs, drivers, interrupt handlers.
snapshot() {
	lspci -D -x | awk '
		/^[0-9a-f]+:[0-9a-f]+:/ { function_ = $1 }
		/^00:/ { print function_, "command", $7 $6 }
		/^[123]0:/ { print function_, $0 }'
	(cd $devices && grep -H . */enable */irq && stat -c %N */driver)
	grep -H . /sys/kernel/irq/*/actions
}

unchanged_by() { # COMMAND [ARG...]
	snapshot >$tmp/before
	"$@" || return
	snapshot >$tmp/after
	diff $tmp/before $tmp/after
}

reload_pciback() {
	rmmod xen-pciback && modprobe xen-pciback
}

reload_pcidev() {
	rmmod xen-pcidev && load_pcidev
}

cycle() { # SBDF
	seize $1
	give_back $1
}

others_unchanged() { # SBDF
	unchanged_by cycle $1 | grep '^[<>]' | grep -vF $1 && return 1
	return 0
}

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

is_loaded xen_pcidev || skip_all "xen-pcidev is not loaded"
[ -z "$(ls $pciback 2>/dev/null | grep :)" ] || skip_all "xen-pciback has devices, for guests"
grep -q '^xen_pciback ' /proc/modules || skip_all "xen-pciback is not a loaded module"
spare=$(spare_functions routed | head -n 1)

plan 4
check "loading xen-pciback changes nothing" unchanged_by reload_pciback
if in_vm; then
	check "loading xen-pcidev changes nothing" unchanged_by reload_pcidev
else
	skip "loading xen-pcidev changes nothing" "it is in use"
fi
if [ "$spare" ]; then
	check "seizing and returning a function changes no other" others_unchanged $spare
else
	skip "seizing and returning a function changes no other" "no unused function"
fi
check "nobody but drivers of dom0 has an irq handler" sh -c '! grep xen-pcidev /proc/interrupts'
finish
