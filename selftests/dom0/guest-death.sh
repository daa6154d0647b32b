#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Guests that die, in every way, with a function. Would catch: a function that is
# not free, reset and assignable after that, a reset too many, a guest that goes
# on with a function that has failed, and one that cannot be destroyed because
# its function is gone. The guests need not even boot.

. "${0%/*}/ktap.sh"
. "${0%/*}/guests"

tracing=/sys/kernel/tracing
nvme=0000:00:07.0	# with FLR
behind=0000:01:00.0	# behind a port that can be unplugged
port=0000:00:08.0
wants $nvme $behind $port

create() { # NAME SBDF
	cat >$tmp/$1.cfg <<-END
		type = "hvm"
		name = "$1"
		memory = 128
		kernel = "/boot/vmlinuz"
		ramdisk = "/boot/guest.cpio"
		cmdline = "console=hvc0 panic=-1"
		pci = ["$2"]
		vga = "none"
		vnc = 0
		on_crash = "destroy"
		on_reboot = "destroy"
	END
	xl create $tmp/$1.cfg || die "no guest with $2"
	xl list $1 || die "no guest"
	xenstore-ls /local/domain/0/backend/pci | grep -q $2 || die "the guest has no $2"
}

until_gone() { # NAME
	i=0
	while xl domid $1 >/dev/null 2>&1; do
		i=$((i + 1))
		[ $i -lt 150 ] || die "the guest is still there"
		sleep 0.2
	done
}

# Free: nobody has it, it is offered, its registers are those it had at first.
free() { # SBDF
	i=0
	while xenstore-ls /local/domain/0/backend/pci 2>/dev/null | grep -q $1 ||
	      grep -q assigned $devices/$1/pciback/state 2>/dev/null; do
		i=$((i + 1))
		[ $i -lt 100 ] || die "$1 is not free: $(cat $devices/$1/pciback/state)"
		sleep 0.1
	done
	[ ! -e $devices/$1/pciback ] || settled $1
	xl pci-assignable-list | grep -q $1 || die "$1 is not assignable"
}

settled() { # SBDF
	i=0
	while [ "$(cat $devices/$1/pciback/state)" != clean ]; do
		i=$((i + 1))
		[ $i -lt 100 ] || die "$1 is $(cat $devices/$1/pciback/state), not clean"
		sleep 0.1
	done
}

traced() { # COMMAND [ARG...]: the tasks that reset a function
	echo __pci_reset_function_locked >$tracing/set_ftrace_filter
	echo function >$tracing/current_tracer
	echo >$tracing/trace
	"$@" >&2
	result=$?
	grep -v '^#' $tracing/trace | awk '{ print $1 }'
	echo nop >$tracing/current_tracer
	return $result
}

life() {
	assignable $nvme
	create l $nvme
	xl destroy l
	free $nvme
	returned $nvme
}

two_resets() {
	traced life >$tmp/resets || die "a life went wrong"
	same "resets of assignable-add, create, destroy, assignable-remove" 2 "$(grep -c . $tmp/resets)"
	! grep xenwatch $tmp/resets || die "one of them held up XenStore"
}

crash() {
	assignable $nvme
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
	create u $nvme
	! rmmod xen_pciback 2>/dev/null || die "the module could be unloaded"
	xl destroy u
	free $nvme
}

unbound() {
	create b $nvme
	echo $nvme >$pciback/unbind
	log | grep -qE "$nvme: (taken from domain|.*still in-use)" || die "the log does not say what the guest loses"
	xl destroy b
	until_gone b
	xl pci-assignable-add $nvme
	create b $nvme
	xl destroy b
	free $nvme
}

inject() { # INTO
	qmp '{"execute": "human-monitor-command", "arguments": {"command-line": "pcie_aer_inject_error '$1' DLP 0 0 0 0 0"}}'
}

# What the kernel tells udev.
uevents() {
	exec timeout 120 python3 -uIS -c '
import socket
kernel = socket.socket(socket.AF_NETLINK, socket.SOCK_DGRAM, 15)
kernel.bind((0, 1))
print("listening")
while True:
    print(kernel.recv(65536).replace(b"\0", b" ").decode())'
}

fatal_error() {
	assignable $behind
	create e $behind
	uevents >$tmp/uevents 2>&1 &
	monitor=$!
	until grep -q listening $tmp/uevents; do sleep 0.1; done
	inject port1
	until_gone e
	sleep 1
	kill $monitor
	log | grep "$behind: fatal error: domain [0-9]* had it and was stopped" || die "the log does not say so"
	grep -q "^change@.*/$behind .*XEN_PCI_ERROR=fatal XEN_PCI_DOMAIN=[0-9]" $tmp/uevents ||
		die "udev is not told: $(cat $tmp/uevents)"
	free $behind
	create e $behind
	xl destroy e
	free $behind
}

wait_until() { # TENTHS COMMAND [ARG...]
	i=0
	left=$1
	shift
	until "$@" 2>/dev/null; do
		i=$((i + 1))
		[ $i -lt $left ] || die "waited in vain: $*"
		sleep 0.1
	done
}

unplug() {
	qmp '{"execute": "device_del", "arguments": {"id": "behind"}}'
	wait_until 800 test ! -e $devices/$behind
}

plug() {
	# The emulator is a little later than dom0.
	wait_until 300 qmp '{"execute": "device_add", "arguments": {"driver": "e1000e", "id": "behind", "bus": "port1"}}'
	wait_until 200 test -e $devices/$behind/driver_override
	sleep 1
}

a_guest_has_it() { # SBDF
	[ "$(driver_of $1)" ] || xl pci-assignable-add $1
	create p $1
	xl destroy p
	free $1
}

unplugged() {
	assignable $behind
	create p $behind
	unplug
	xl destroy p 2>/dev/null
	until_gone p
	log | grep -q "$behind:.*unplugged under a guest" || die "the log does not say so"
	plug
	a_guest_has_it $behind
}

unplugged_idle() {
	unplug
	plug
	a_guest_has_it $behind
}

unloaded_idle() {
	rmmod xen_pciback || die "it cannot be unloaded"
	modprobe xen-pciback
	a_guest_has_it $nvme
}

plan 9
check "a function's life takes two resets, none of them on XenStore's thread" two_resets
check "a guest that crashes leaves its function free" crash
check "so does one whose device model was killed" killed_device_model
check "the module stays while a guest has a function" in_use
check "a guest is destroyed whose function was unbound, the next one gets it" unbound
check "a function that is assignable is unplugged, and plugged again" unplugged_idle
check "xen-pciback is unloaded with an assignable function, and loaded again" unloaded_idle
check "a fatal error stops the guest, and administrators hear of it" fatal_error
if [ -e $pciback/do_flr ]; then
	check "a guest is stopped whose function is unplugged, and destroyed before Xen can fall" unplugged
else
	skip "a guest is stopped whose function is unplugged, and destroyed before Xen can fall" "not for the stock driver"
fi
finish
