#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# PV guests whose function fails, or is unplugged, while they use it. Would catch: a guest that goes
# on with it, a log that does not name the guest, and a function that does not come back.

. "${0%/*}/ktap.sh"
. "${0%/*}/guests"
. "${0%/*}/pv-guests"
. "${0%/*}/behind-port"

[ -e $pciback/do_flr ] || skip_all "not for the stock driver"
wants $behind

# It does DMA.
uses() {
	pv_guest p $behind && loads_frontend p && has_function p 0000:00:00.0 || return
	tell p <<-'END' || return
		modprobe e1000e || exit
		ip link set dev $(ls /sys/bus/pci/devices/0000:00:00.0/net) up
	END
	guest=$(xl domid p)
	same "DMA" 4 $((0x$(setpci -s $behind COMMAND) & 4))
}

# And has lost it.
stopped() { # CAUSE
	log | grep "$behind: $1 while assigned to domain $guest; domain stopped" || die "the log does not say so"
	until_gone p
}

fails() {
	assignable $behind
	uses || return
	inject port1
	wait_for 20 eval "log | grep -q '$behind: fatal error'"
	stopped "fatal error"
	free $behind
	same "DMA" 0 $((0x$(setpci -s $behind COMMAND) & 4))
}

unplugged() {
	uses || return
	unplug
	stopped unplugged
	! log | grep "was not destroyed within" || die "Xen was told before"
	plug
	assignable $behind
}

next() {
	uses && xl destroy p && free $behind
}

plan 3
check "a PV guest whose function fails is stopped, and the function is free" fails
check "so is one whose function is unplugged, and Xen hears of that when it is gone" unplugged
check "another gets the function that is plugged again" next
returned $behind
finish
