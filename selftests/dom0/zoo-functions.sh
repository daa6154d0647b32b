#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Single functions that misbehave, emulated. Would catch: one that is taken for ready while it
# still resets, or that holds up others; DMA that goes on; one that lies and is believed, or
# that hangs dom0; registers that a reset loses without a word.

. "${0%/*}/ktap.sh"
. "${0%/*}/toolstack"
. "${0%/*}/animals"

told() { # TEXT
	log | grep -q "$1"
}

comes_back() {
	order forget nic-slow.0
	seize $slow
	is $slow clean
	same "resets" 1 "$(fact nic-slow.0 resets.flr)"
	told "$slow: \(no answer 1 s after a reset\|not ready [0-9]*ms after FLR\); waiting" || die "it was not waited for"
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
}

# Two slow ones come back from a guest, another guest wants one of them, a third one has nothing
# to do with either.
holds_up_no_guest() {
	seize $slower
	assign $slow $slower
	for function in $slow $slower; do is $function "assigned $guest"; done
	for number in nic-slow.0 nic-slow-2.0; do order forget $number; done
	gone
	plays 32748
	assign $slow
	plays 32747
	assign $usb
	is $usb "assigned $guest"
	same "the slow ones answer" "false false" "$(fact nic-slow.0 answers) $(fact nic-slow-2.0 answers)"
	gone
	is $usb clean
	plays 32748
	wait_for 60 grep -qx "assigned $guest" $devices/$slow/pciback/state
	same "resets of that" 1 "$(fact nic-slow.0 resets.flr)"
	gone
	wait_for 60 grep -qx clean $devices/$slow/pciback/state
	for function in $slow $slower $usb; do give_back $function; done
}

never_comes_back() {
	echo $dead >$pciback/new_slot
	! echo $dead >$pciback/bind 2>/dev/null || die "it is seized"
	told "$dead: reset (flr) failed: ETIMEDOUT" || die "the log does not say so"
	told "$dead: left stopped" || die "it is not left stopped"
	echo $dead >$pciback/remove_slot
	order answer nic-dead.0
}

# It is another function after a reset, as its device ID has it.
not_believed() {
	began=$(cut -d. -f1 /proc/uptime)
	echo $liar >$pciback/new_slot
	! echo $liar >$pciback/bind 2>/dev/null || die "it is seized"
	took=$(($(cut -d. -f1 /proc/uptime) - began))
	[ $took -lt 10 ] || die "that took $took s"
	log | grep "$liar: "
	told "$liar: .*not seized: " || die "the log does not say why"
	echo $liar >$pciback/remove_slot
}

# Of the methods in reset_method, the first one is what sysfs, the log and Xen are told. The PCI core
# would go on to the next one.
by_first_method() {
	methods=$(cat $devices/$fickle/reset_method)
	echo "pm flr" >$devices/$fickle/reset_method
	setpci -s $fickle CAP_PM+4.w=8:8
	order forget nic-fickle.0
	echo $fickle >$pciback/new_slot
	! echo $fickle >$pciback/bind 2>/dev/null || die "it is seized"
	told "$fickle: reset (pm) failed: ETIMEDOUT" || die "the log does not say so"
	same "resets" "0 0 0" "$(resets_of nic-fickle.0)"
	echo $fickle >$pciback/remove_slot
	setpci -s $fickle CAP_PM+4.w=0:8
	seize $fickle
	is $fickle clean
	same "reset" pm "$(cat $devices/$fickle/pciback/reset)"
	same "resets" "0 0 1" "$(resets_of nic-fickle.0)"
	give_back $fickle
	echo "$methods" >$devices/$fickle/reset_method
}

resets_of() {
	echo "$(fact $1 resets.flr) $(fact $1 resets.bus) $(fact $1 resets.pm)"
}

names_what_is_lost() {
	same "what firmware wrote" 5a5a1234 "$(config $forgetful e4.l)"
	seize $forgetful
	is $forgetful clean
	same "what is left of it" 00000000 "$(config $forgetful e4.l)"
	told "$forgetful: vendor register 0xe4 reads 0x0, not 0x5a5a1234 " || die "the log does not say so"
	give_back $forgetful
}

# Its reset ends that. Any driver that resets it after its guest passes this: it guards that ours
# goes on doing so.
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

dma_of_pair() {
	echo $(($(fact nic-pair.0 dma_done) + $(fact nic-pair.0 dma_failed)))
}

# Nothing resets it as long as a guest has its sibling. What ends its DMA is its bus mastering,
# which nobody switches off if the driver does not.
goes_on_unreset() {
	seize $pair
	seize $other_of_pair
	assign $pair $other_of_pair
	for function in $pair $other_of_pair; do is $function "assigned $guest"; done
	order forget nic-pair.0
	setpci -s $pair COMMAND=6:6
	$zoo dma $pair 0 0 >/dev/null
	config $pair VENDOR_ID >/dev/null
	[ "$(dma_of_pair)" -gt 1 ] || die "it does not go on"
	detach_first
	is $pair returned
	wait_for 5 told "$pair: reset postponed: it shares a bus reset with $other_of_pair, assigned to domain $guest"
	before="$(dma_of_pair)"
	tried=$(fact nic-pair.0 dma_tried)
	config $pair VENDOR_ID >/dev/null
	same "DMA while it waits" "$before" "$(dma_of_pair)"
	[ "$(fact nic-pair.0 dma_tried)" -gt "$tried" ] || die "it does not even try"
	gone
	for function in $pair $other_of_pair; do is $function clean; done
	same "goes on" false "$(fact nic-pair.0 running)"
	for function in $pair $other_of_pair; do give_back $function; done
}

# The hold is xen-pcidev's, whatever driver has the function. Ours resets it before that, and
# tells Xen of it, which then looks for the table in the page that is written to.
table_among_registers() {
	seize $accelerator
	same "MSI-X table" held "$(cat $devices/$accelerator/xen/msix)"
	give_back $accelerator
}

find_animals && set -- $(find_pair) && [ $# = 2 ] && [ "$slower" ] && [ "$fickle" ] && [ -e $pciback/allow_unreset ] || skip_all "see tests.toml"
pair=$1 other_of_pair=$2

plan 10
check "a function that is slow to come back is waited for" comes_back
check "and holds up no other" holds_up_nobody
check "nor do several hold up a guest that wants another, and the next guest waits for its own" holds_up_no_guest
check "one that never comes back is refused, and left stopped" never_comes_back
check "one that is another after its reset is refused" not_believed
check "a reset by the first method is not done by the second" by_first_method
check "registers that a reset loses are told" names_what_is_lost
check "DMA that goes on ends when the guest has gone" goes_on
check "DMA of one that waits for its reset ends at once" goes_on_unreset
check "a table among registers is held" table_among_registers
finish
