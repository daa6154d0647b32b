#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Guests that die, in every way, with a function. Would catch: a function that is
# not free, reset and assignable after that, and a guest that cannot be destroyed
# because its function is gone. The guests need not even boot.

. "${0%/*}/ktap.sh"
. "${0%/*}/guests"
. "${0%/*}/behind-port"

nvme=0000:00:07.0	# with FLR
[ -e $pciback/do_flr ] || skip_all "not for the stock driver"
wants $nvme $behind $port

again() { # SBDF: it is assignable, maybe by itself
	[ "$(driver_of $1)" ] || xl pci-assignable-add $1
}

unloaded_idle() {
	assignable $nvme
	rmmod xen_pciback || die "it cannot be unloaded"
	modprobe xen-pciback
	again $nvme
}

# Of the function that has been there as the driver was loaded.
crash() {
	create c $nvme
	xen-hvmcrash $(xl domid c)
	until_gone c
	free $nvme
}

killed_device_model() {
	create q $nvme
	kill -9 $(pgrep -f 'qemu.*-xen-domid') || die "no device model"
	sleep 1
	xl destroy q
	until_gone q
	free $nvme
}

in_use() {
	create b $nvme
	! rmmod xen_pciback 2>/dev/null || die "the module could be unloaded"
}

# The guest of in_use.
unbound() {
	echo $nvme >$pciback/unbind
	log | grep -qE "$nvme: (unbound while assigned to domain|.*still in-use)" || die "the log does not say what the guest loses"
	xl destroy b
	until_gone b
	xl pci-assignable-add $nvme
	create b $nvme
	xl destroy b
	free $nvme
}

unplugged_idle() {
	assignable $behind
	unplug
	plug
	again $behind
}

# Of the function that has been plugged.
unplugged() {
	create p $behind
	unplug
	xl destroy p 2>/dev/null
	until_gone p
	log | grep -q "$behind:.*unplugged while assigned" || die "the log does not say so"
	plug
	again $behind
	create p $behind
	xl destroy p
	free $behind
}

plan 7
check "xen-pciback is unloaded with an assignable function, and loaded again" unloaded_idle
check "a guest that crashes leaves its function free" crash
check "so does one whose device model was killed" killed_device_model
check "the module stays while a guest has a function" in_use
check "a guest is destroyed whose function was unbound, the next one gets it" unbound
check "a function that is assignable is unplugged, and plugged again" unplugged_idle
check "a guest is stopped whose function is unplugged, and destroyed before Xen can fall" unplugged
finish
