#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Cards of several functions as people own them, emulated. Would catch: a card that is reset
# once for each function, or under a guest, or not at all; a function that waits for its
# siblings though it has a reset of its own, or resets them with it; and one that is left over
# when a card goes away.

. "${0%/*}/ktap.sh"
. "${0%/*}/toolstack"
. "${0%/*}/animals"

other_guest=32748

# The card whose functions these are: gpu (none has a reset of its own) or gpu-flr0 (the first has).
choose() { # CARD FUNCTION
	card=$1
	first=${2%.*}.0 second=${2%.*}.1 third=${2%.*}.2 fourth=${2%.*}.3
}

# "FUNCTION BAR NUMBER", the BAR being that of the tattoo.
each_of_card() { # COMMAND
	$1 $first 0 0
	others_of_card $1
}

others_of_card() { # COMMAND
	$1 $second 0 1
	$1 $third 3 2
	$1 $fourth 0 3
}

leave() { # FUNCTION BAR NUMBER
	order forget $card.$3
	setpci -s $1 COMMAND=2:2
	write_bar $1 $2 $TATTOO 0x77
	has_tattoo "$@"
}

has_tattoo() { # FUNCTION BAR NUMBER
	same "tattoo of $1" 0x77 "$(read_bar $1 $2 $TATTOO)"
}

was_reset() { # FUNCTION BAR NUMBER
	is $1 clean
	has_no_trace "$@"
}

has_no_trace() { # FUNCTION BAR NUMBER
	same "tattoo of $1" 0x0 "$(read_bar $1 $2 $TATTOO)"
	same "resets of $1 by its bus" 1 "$(fact $card.$3 resets.bus)"
}

was_not_reset() { # FUNCTION BAR NUMBER
	same "resets of $1 by its bus" 0 "$(fact $card.$3 resets.bus)"
}

is_assigned() { # FUNCTION...
	for function; do is $function "assigned $guest"; done
}

blocked_by() { # FUNCTION
	echo $(cat $devices/$1/pciback/reset_blocked_by)
}

hidden() {
	choose gpu $display
	each_of_card leave
	rmmod xen_pciback
	insmod "$(module_file xen-pciback)" "hide=(${first%.*}.*)" || die "not loaded"
	each_of_card was_reset
}

one_guest() {
	choose gpu $display
	assign $first $second $third $fourth
	is_assigned $first $second $third $fourth
	each_of_card leave
	gone
	each_of_card was_reset
}

two_guests() {
	choose gpu $display
	assign $first $second
	is_assigned $first $second
	first_guest=$guest
	plays $other_guest
	assign $third $fourth
	is_assigned $third $fourth
	each_of_card leave
	plays $first_guest
	gone
	is $first returned
	is $second returned
	same "blocked by" "$third $fourth" "$(blocked_by $first)"
	each_of_card was_not_reset
	plays $other_guest
	gone
	each_of_card was_reset
	plays $first_guest
}

one_in_dom0() {
	choose gpu $display
	give_back $second
	assign $first
	is_assigned $first
	each_of_card leave
	gone
	is $first touched
	each_of_card was_not_reset
	log | grep -q "$first: not reset, as $second on its bus is not seized" || die "the log does not say so"
	seize $second
	each_of_card was_reset
}

one_unplugged() {
	choose gpu $display
	assign $first
	is_assigned $first
	each_of_card leave
	echo 1 >$devices/$fourth/remove
	gone
	was_reset $first 0 0
	was_reset $second 0 1
	was_reset $third 3 2
	echo 1 >/sys/bus/pci/rescan
	wait_for 5 test -e $devices/$fourth
	is $fourth clean
}

# Pulled out: nothing answers when Linux notices. One is a guest's, another waits.
pulled_out() {
	choose gpu $display
	assign $first $second
	is_assigned $first $second
	each_of_card leave
	detach_first
	is $first returned
	for number in 0 1 2 3; do order die gpu.$number; done
	began=$(cut -d. -f1 /proc/uptime)
	for function in $fourth $third $second $first; do echo 1 >$devices/$function/remove; done &
	wait_for 20 told "$second: unplugged while assigned"
	gone
	wait
	took=$(($(cut -d. -f1 /proc/uptime) - began))
	[ $took -lt 30 ] || die "what does not answer was waited for: $took s"
	for function in $first $second $third $fourth; do
		[ ! -e $devices/$function ] || die "$function is still there"
		! xl pci-assignable-list | grep $function || die "it is still offered"
	done
	for number in 0 1 2 3; do order answer gpu.$number; done
	echo 1 >/sys/bus/pci/rescan
	wait_for 5 test -e $devices/$fourth
	for function in $first $second $third $fourth; do is $function clean; done
	each_of_card has_no_tattoo
	assign $first $second $third $fourth
	is_assigned $first $second $third $fourth
	gone
	for function in $first $second $third $fourth; do is $function clean; done
}

has_no_tattoo() { # FUNCTION BAR NUMBER
	same "tattoo of $1" 0x0 "$(read_bar $1 $2 $TATTOO)"
}

told() { # TEXT
	log | grep -q "$1"
}

resets_of_first() { # BY FLR, BY THE BUS
	same "resets of $first, by FLR and by its bus" "$*" "$(fact $card.0 resets.flr) $(fact $card.0 resets.bus)"
}

first_alone() {
	choose gpu-flr0 $flr0
	for function in $first $second $third $fourth; do seize $function; done
	for function in $first $second $third $fourth; do is $function clean; done
	each_of_card leave
	# The first request finds it clean.
	echo $first >$pciback/do_flr && echo $first >$pciback/do_flr || die "do_flr fails"
	resets_of_first 1 0
	others_of_card was_not_reset
	others_of_card has_tattoo
	same "resets" "flr bus" "$(cat $devices/$first/pciback/reset) $(cat $devices/$second/pciback/reset)"
	echo $second >$pciback/do_flr && echo $second >$pciback/do_flr || die "do_flr fails"
	is $second touched
	others_of_card has_no_trace
	same "resets of $first by its bus" 1 "$(fact $card.0 resets.bus)"
}

flr_one_guest() {
	choose gpu-flr0 $flr0
	assign $first $second $third $fourth
	is_assigned $first $second $third $fourth
	each_of_card leave
	gone
	each_of_card was_reset
}

flr_two_guests() {
	choose gpu-flr0 $flr0
	first_guest=$guest
	assign $first
	is_assigned $first
	plays $other_guest
	assign $second $third $fourth
	is_assigned $second $third $fourth
	each_of_card leave
	plays $first_guest
	gone
	is $first clean
	resets_of_first 1 0
	others_of_card was_not_reset
	others_of_card has_tattoo
	# Another guest gets it at once. The others wait for that one.
	plays 32747
	assign $first
	is_assigned $first
	leave $first 0 0
	plays $other_guest
	gone
	for function in $second $third $fourth; do
		is $function returned
		same "blocked by" $first "$(blocked_by $function)"
	done
	resets_of_first 0 0
	has_tattoo $first 0 0
	plays 32747
	gone
	is $first clean
	others_of_card was_reset
	plays $first_guest
}

flr_in_dom0() {
	choose gpu-flr0 $flr0
	give_back $second
	assign $first $third
	is_assigned $first $third
	each_of_card leave
	gone
	is $first clean
	is $third touched
	resets_of_first 1 0
	others_of_card was_not_reset
	told "$third: not reset, as $second on its bus is not seized" || die "the log does not say so"
	seize $second
	others_of_card was_reset
	given_back
}

given_back() {
	for function in $first $second $third $fourth; do give_back $function; done
}

all_given_back() {
	choose gpu $display
	given_back
}

find_animals && [ "$flr0" ] && [ -e $pciback/allow_unreset ] || skip_all "see tests.toml"

plan 11
check "a card of four functions that is hidden is reset once" hidden
check "so it is after one guest had all of them" one_guest
check "after two guests had them, when the second one returns the last" two_guests
check "not while one is in dom0, which the log says" one_in_dom0
check "the others are reset if one is unplugged" one_unplugged
check "a card that is pulled out is waited for by nobody, and is as new when it comes back" pulled_out
check "all are given back" all_given_back
check "a function with a reset of its own is reset alone, the others of its card by their bus" first_alone
long "all of them are reset after one guest" flr_one_guest
long "the one after its guest, the others after theirs and that one's" flr_two_guests
long "the one also while another one is in dom0" flr_in_dom0
finish
