#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Cards as people own them, by emulated functions. Would catch: a card of several
# functions that is reset once for each, or under a guest, or not at all; a function that
# is taken for ready while it still resets, or that holds up others; DMA that goes on.

. "${0%/*}/ktap.sh"
. "${0%/*}/toolstack"
. "${0%/*}/animals"

other_guest=32748

# "FUNCTION BAR NUMBER", the BAR being that of the tattoo.
each_of_card() { # COMMAND
	$1 $display 0 0
	$1 $sound 0 1
	$1 $usbs 3 2
	$1 $ucsi 0 3
}

leave() { # FUNCTION BAR NUMBER
	order forget gpu.$3
	setpci -s $1 COMMAND=2:2
	write_bar $1 $2 $TATTOO 0x77
	same "tattoo of $1" 0x77 "$(read_bar $1 $2 $TATTOO)"
}

was_reset() { # FUNCTION BAR NUMBER
	is $1 clean
	same "tattoo of $1" 0x0 "$(read_bar $1 $2 $TATTOO)"
	same "resets of $1 by its bus" 1 "$(fact gpu.$3 resets.bus)"
}

was_not_reset() { # FUNCTION BAR NUMBER
	same "resets of $1 by its bus" 0 "$(fact gpu.$3 resets.bus)"
}

hidden() {
	each_of_card leave
	rmmod xen_pciback
	insmod "$(module_file xen-pciback)" "hide=(${display%.*}.*)" || die "not loaded"
	each_of_card was_reset
}

one_guest() {
	assign $display $sound $usbs $ucsi
	for function in $display $sound $usbs $ucsi; do is $function "assigned $guest"; done
	each_of_card leave
	gone
	each_of_card was_reset
}

two_guests() {
	assign $display $sound
	is $display "assigned $guest"
	is $sound "assigned $guest"
	first_guest=$guest
	plays $other_guest
	assign $usbs $ucsi
	is $usbs "assigned $guest"
	is $ucsi "assigned $guest"
	each_of_card leave
	plays $first_guest
	gone
	is $display returned
	is $sound returned
	same "blocked by" "$usbs $ucsi" "$(echo $(cat $devices/$display/pciback/reset_blocked_by))"
	each_of_card was_not_reset
	plays $other_guest
	gone
	each_of_card was_reset
	plays $first_guest
}

one_in_dom0() {
	give_back $sound
	assign $display
	is $display "assigned $guest"
	each_of_card leave
	gone
	is $display touched
	each_of_card was_not_reset
	log | grep -q "$display: not reset, as $sound on its bus is not seized" || die "the log does not say so"
	seize $sound
	each_of_card was_reset
}

one_unplugged() {
	assign $display
	is $display "assigned $guest"
	each_of_card leave
	echo 1 >$devices/$ucsi/remove
	gone
	was_reset $display 0 0
	was_reset $sound 0 1
	was_reset $usbs 3 2
	echo 1 >/sys/bus/pci/rescan
	wait_for 5 test -e $devices/$ucsi
	is $ucsi clean
}

comes_back() {
	order forget nic-slow.0
	seize $slow
	is $slow clean
	same "resets" 1 "$(fact nic-slow.0 resets.flr)"
	log | grep -q "$slow: no answer 1 s after a reset; waiting" || die "it was not waited for"
}

# The first request finds it clean.
holds_up_nobody() {
	seize $usb
	for function in $slow $usb; do echo $function >$pciback/do_flr; done
	echo $slow >$pciback/do_flr &
	sleep 0.5
	echo $usb >$pciback/do_flr || die "do_flr fails"
	same "the slow one answers" false "$(fact nic-slow.0 answers)"
	wait
	give_back $slow
	give_back $usb
}

never_comes_back() {
	echo $dead >$pciback/new_slot
	! echo $dead >$pciback/bind 2>/dev/null || die "it is seized"
	log | grep -q "$dead: reset (flr) failed: ETIMEDOUT" || die "the log does not say so"
	log | grep -q "$dead: left stopped" || die "it is not left stopped"
	echo $dead >$pciback/remove_slot
	order answer nic-dead.0
}

goes_on() {
	seize $disk
	assign $disk
	is $disk "assigned $guest"
	order forget disk.0
	setpci -s $disk COMMAND=2:6
	$zoo dma $disk 0 0 >/dev/null
	config $disk VENDOR_ID >/dev/null
	same "goes on" true "$(fact disk.0 running)"
	gone
	is $disk clean
	same "goes on" false "$(fact disk.0 running)"
	tried=$(fact disk.0 dma_tried)
	config $disk VENDOR_ID >/dev/null
	same "tried after its reset" $tried "$(fact disk.0 dma_tried)"
	give_back $disk
}

table_among_registers() {
	seize $accelerator
	same "MSI-X table" held "$(cat $devices/$accelerator/xen/msix)"
	give_back $accelerator
}

given_back() {
	for function in $display $sound $usbs $ucsi; do give_back $function; done
}

find_animals && [ -e $pciback/allow_unreset ] || skip_all "see tests.toml"

plan 11
check "a card of four functions that is hidden is reset once" hidden
check "so it is after one guest had all of them" one_guest
check "after two guests had them, when the second one returns the last" two_guests
check "not while one is in dom0, which the log says" one_in_dom0
check "the others are reset if one is unplugged" one_unplugged
check "all are given back" given_back
check "a function that is slow to come back is waited for" comes_back
check "and holds up no other" holds_up_nobody
check "one that never comes back is refused, and left stopped" never_comes_back
check "DMA that goes on ends when the guest has gone" goes_on
check "a table among registers is held" table_among_registers
finish
