#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# The trace events of xen-pcidev. Would catch: an event that does not come, or
# says something else than what happened.

. "${0%/*}/ktap.sh"

tracing=/sys/kernel/tracing
events=$tracing/events/xen_pcidev

# What is traced while a command runs, without process and time.
traced() { # COMMAND [ARG...]
	echo >$tracing/trace
	echo 1 >$events/enable
	"$@" >/dev/null
	echo 0 >$events/enable
	grep -v '^#' $tracing/trace | sed 's/.*: \([a-z_]*: .*\)/\1/'
}

expect() { # LINE: a pattern, which has to match a line of $trace
	echo "$trace" | grep -qxE "$1" || die "no '$1' in: $trace"
}

# A line of another machine may be shared with a driver of dom0: it is not lent then.
seizure() {
	gsi=$(cat $devices/$spare/xen/gsi)
	entries=$(ask info $spare | sed 's/.*entries=\([0-9]*\).*/\1/')
	trace=$(traced seize $spare)
	expect "pcidev_seize: $spare"
	expect "pcidev_unmask: $spare gsi=$gsi irq=$(cat $devices/$spare/xen/irq) err=0"
	! in_vm || expect "pcidev_line: gsi=$gsi lent=1 err=0"
	expect "pcidev_hold: $spare entries=$entries pirq=[0-9]+ err=0"
}

return_() {
	gsi=$(cat $devices/$spare/xen/gsi)
	trace=$(traced give_back $spare)
	expect "pcidev_release: $spare err=0"
	! in_vm || expect "pcidev_line: gsi=$gsi lent=0 err=0"
}

lookups() {
	gsi=$(cat $devices/$spare/xen/gsi)
	trace=$(traced ask privcmd $spare)
	expect "pcidev_lookup: privcmd $spare value=$gsi"
	trace=$(traced ask gsi $spare)
	expect "pcidev_lookup: pcidev $spare value=$gsi"
	trace=$(traced cat $devices/$spare/xen/gsi)
	expect "pcidev_lookup: sysfs $spare value=$gsi"
	trace=$(traced ask privcmd ffff:ff:1f.7)
	expect "pcidev_lookup: privcmd ffff:ff:1f.7 value=-19"
}

[ -e $events/enable ] || skip_all "xen-pcidev is not loaded, or tracefs not mounted"
spare=$(spare_functions routed has_msix | tail -n 1)
{ [ "$spare" ] && [ -e $pciback ]; } || skip_all "no unused function with MSI-X and a pin, or no xen-pciback"

plan 3
check "look-ups are traced with the interface and the answer" lookups
check "a seizure is traced: seize, unmask, hold, line" seizure
check "a return is traced: release, line" return_
finish
