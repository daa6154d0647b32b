#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Cards of two functions that are unplugged while a guest has one, and the other one waits to
# be reset. Would catch: one that waits for ever, a record of what is gone, and a card that
# is not what it was when it is plugged again.

. "${0%/*}/ktap.sh"
. "${0%/*}/toolstack"
. "${0%/*}/two-functions"

# They can be reset by their bus only.
first=0000:01:00.0 second=0000:01:00.1
port=port1

assignable() {
	xl pci-assignable-list | cut -d' ' -f1 | grep ^0000:01 | tr '\n' ' '
}

bound() {
	for function in $pciback/0000:01:*; do [ ! -e $function ] || basename $function; done | tr '\n' ' '
}

are_offered() { # SBDF...
	for function; do is $function clean; done
	same "bound" "$* " "$(bound)"
	same "assignable" "$* " "$(assignable)"
}

told() { # TEXT
	log | grep -q "$1"
}

# By a guest that keeps the second one.
one_waits() {
	assign $first $second
	is $first "assigned $guest"
	is $second "assigned $guest"
	leave_tattoos $first $second
	detach_first
	is $first returned
	wait_for 5 told "$first: reset postponed: it shares a bus reset with $second, assigned to domain $guest"
}

# Xen must not be told before the guest is destroyed, which the toolstack does now.
guest_is_destroyed() {
	wait_for 20 told "$second: unplugged while assigned to domain $guest,"
	[ -e $devices/$second ] || die "Linux did not wait for the guest"
	is $first returned
	gone
	wait_for 20 test ! -e $devices/$second
}

one_removed() {
	one_waits
	echo 1 >$devices/$second/remove &
	guest_is_destroyed
	wait
	is $first clean
	tattoos_are 0x00000000 $first
	are_offered $first
	echo 1 >/sys/bus/pci/rescan
	wait_for 5 test -e $devices/$second
	are_offered $first $second
	same "reset" bus "$(cat $devices/$second/pciback/reset)"
}

unplug() {
	qmp '{"execute": "device_del", "arguments": {"id": "first"}}'
}

# The first one comes last: it tells the port that the card is complete.
plug() {
	for number in 1 0; do
		id=$([ $number = 0 ] && echo first || echo second)
		# The emulator is a little later than dom0.
		wait_for 30 qmp '{"execute": "device_add", "arguments": {"driver": "e1000", "id": "'$id'", "bus": "'$port'",
			"addr": "0.'$number'", "multifunction": true}}'
	done
	wait_for 20 test -e $devices/$second/driver
}

is_gone() {
	wait_for 20 test ! -e $devices/$first
	same "bound" "" "$(bound)"
	same "assignable" "" "$(assignable)"
}

whole_card() {
	plays 32747
	one_waits
	unplug
	guest_is_destroyed
	is_gone
	plug
	are_offered $first $second
	# A new one.
	tattoos_are 0x00000000 $first $second
}

# What the driver remembers of the former card would keep the guest from this one.
next_guest() {
	plays 32748
	assign $first $second
	is $first "assigned $guest"
	is $second "assigned $guest"
	leave_tattoos $first $second
	gone
	are_offered $first $second
	tattoos_are 0x00000000 $first $second
}

nothing_left() {
	unplug
	is_gone
	same "users of the module" 0 "$(cat /sys/module/xen_pciback/refcnt)"
	plug
	give_back $first
	give_back $second
}

[ -e $pciback/do_flr ] && in_vm && command -v xl >/dev/null && [ -e $devices/$second ] || skip_all "see tests.toml"

plan 4
seize $first
seize $second
check "the sibling of one that is removed under its guest is reset, and waits no more" one_removed
check "a whole card is unplugged: the guest first, and the card is plugged again as a new one" whole_card
check "the next guest gets all of it" next_guest
check "nothing is left of one that is unplugged while nobody has it" nothing_left
finish
