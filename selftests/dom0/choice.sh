#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Which functions xen-pciback takes when it is loaded, and which it lets go again. Would
# catch: the wrong function at an address that has changed, a choice that nobody hears of, a
# bridge that a wildcard takes, and one that driver_override brought and that stays.

. "${0%/*}/ktap.sh"

before=0000:05:00.0 after=0000:06:00.0
moving=8086:10d3:8086:1234
bridge=0000:00:1f.0 host=0000:00:00.0

load() { # PARAMETER...
	rmmod xen_pciback
	modprobe xen-pciback "$@"
}

logged() { # TEXT
	log | grep -qF "$1"
}

said() { # TEXT
	logged "$1" || die "not logged: $1: $(log | grep pciback | tail -n 8)"
}

plug() { # PORT
	qmp '{"execute":"device_add","arguments":{"driver":"e1000e","id":"moving","bus":"'$1'","subsys_ven":32902,"subsys":4660}}'
}

exists() { # SBDF
	[ -e $devices/$1 ]
}

gone() { # SBDF
	! exists $1
}

no_slots() {
	same slots "" "$(cat $pciback/slots)"
}

# Its own, and those of another card that has the same chip.
by_identity() {
	plug port5
	wait_for 20 exists $before
	load ids=$moving
	wait_for 10 is_seized $before
	wait_for 10 logged "$before: 8086:10d3 seized, reset by pm"
	same "all that is seized" $before "$(basename -a $pciback/0000:*)"
	no_slots
}

moved() {
	qmp '{"execute":"device_del","arguments":{"id":"moving"}}'
	wait_for 20 gone $before
	wait_for 30 plug port6
	wait_for 20 is_seized $after
}

told() {
	load "ids=1234:5678,ffffffff:10d3:8086:4321" "hide=(05:00.0)(0000:02:00.*)"
	said "hide: (05:00.0) matches no function"
	said "ids: 1234:5678 matches no function"
	said "ids: ffffffff:10d3:8086:4321 matches no function"
	! log | grep "02:00.*matches no" || die "one that is there"
}

refused_lists() {
	rmmod xen_pciback
	for list in 8086 8086:10d3:0:0:0:0:0 "8086:10d3 10de:1eb8" 10de:1eb8,x:y 0000:03:00.0; do
		! modprobe xen-pciback "ids=$list" 2>/dev/null || die "loaded with ids=$list"
		said "ids: syntax error at \"${list##*,}\""
	done
	modprobe xen-pciback "ids= 10DE:1eb8 ,, 8086:ffffffff:ffffffff:ffffffff:020000:ff00ff," || die "a good list is refused"
}

bridges_skipped() {
	load "hide=(00:1f.*)(00:00.0)" ids=8086:ffffffff:ffffffff:ffffffff:060000:ff0000
	for function in $host $bridge; do
		said "$function: not hidden: a bridge cannot be handed to a guest"
		same "driver of $function" "" "$(driver_of $function)"
	done
	# A function beside the bridge.
	wait_for 10 is_seized 0000:00:1f.3
	load
}

has_own_driver() {
	[ "$(driver_of $one)" = e1000e ]
}

# As virsh nodedev-detach and nodedev-reattach do, and driverctl.
by_override() {
	modprobe e1000e
	wait_for 5 has_own_driver
	for turn in 1 2; do
		echo pciback >$devices/$one/driver_override
		echo $one >$devices/$one/driver/unbind
		echo $one >/sys/bus/pci/drivers_probe
		same "detached" "pciback $one" "$(driver_of $one) $(cat $pciback/slots)"
		echo >$devices/$one/driver_override
		echo $one >$devices/$one/driver/unbind
		no_slots
		echo $one >/sys/bus/pci/drivers_probe
		same "reattached" e1000e "$(driver_of $one)"
	done
	rmmod e1000e
}

# One that somebody wants to be there stays there.
slot_stays() {
	echo $one >$pciback/new_slot
	echo pciback >$devices/$one/driver_override
	echo $one >/sys/bus/pci/drivers_probe
	echo >$devices/$one/driver_override
	echo $one >$pciback/unbind
	same "slots" $one "$(cat $pciback/slots)"
	echo $one >$pciback/remove_slot
}

override_of_another() {
	echo vfio-pci >$devices/$one/driver_override
	! xl pci-assignable-add $one || die "it was bound all the same"
	echo >$devices/$one/driver_override
	said "$one: its driver_override names another driver: clear that to bind it to pciback"
	echo $one >$pciback/remove_slot
}

# As with a Xen that is too new, which fails the first question.
cannot_ask() {
	load fault=1
	said "xen_pciback: cannot ask Xen which functions guests have"
	load
}

in_vm && [ -e $pciback/do_flr ] && [ -e $devices/0000:00:0e.0 ] || skip_all "see tests.toml"
one=$after
# Another test may have loaded it.
rmmod e1000e 2>/dev/null

plan 9
check "ids= takes functions by what they are" by_identity
check "and takes one at another address later" moved
check "what hide= and ids= do not find is told" told
check "what is wrong in ids= is named, and nothing is loaded" refused_lists
check "bridges are skipped, each with a line" bridges_skipped
check "a function of driver_override goes back to its own driver" by_override
check "unless it is in new_slot" slot_stays
check "a driver_override for another driver is told" override_of_another
check "a Xen that cannot be asked is told" cannot_ask
finish
