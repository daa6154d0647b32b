#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Functions that are less simple than QEMU's NICs: with a sibling behind the same port,
# or with BARs that are no registers. Would catch: a reset of the bus that is announced
# and never happens, a function that goes to another guest unreset, a link that is reset under a guest because a sibling's driver asks
# for it, and a function that is refused because its BARs are taken for lost.

. "${0%/*}/ktap.sh"
. "${0%/*}/toolstack"
. "${0%/*}/two-functions"

# Two that can be reset by their bus only, one alone that can, and two with a driver of
# dom0's.
first=0000:01:00.0 second=0000:01:00.1
alone=0000:02:00.0
driven=0000:03:00.0 sibling=0000:03:00.1
port=0000:00:0a.0
# An IDE controller in legacy mode: its first four BARs are the addresses of old.
ide=0000:00:19.0

reset_of() { # SBDF
	cat $devices/$1/pciback/reset
}

blocked_by() { # SBDF
	cat $devices/$1/pciback/reset_blocked_by
}

half_a_card() {
	# Made when the second function was not there yet.
	same "the kernel's list" bus "$(cat $devices/$first/reset_method)"
	for function in $first $second; do
		if [ $function = $first ]; then other=$second; else other=$first; fi
		seize $function
		same "reset" none "$(reset_of $function)"
		same "blocked by" $other "$(blocked_by $function)"
		log | grep -q "$function: not reset, as $other on its bus is not seized" || die "the log does not say so"
		log | grep -q "$function: .* seized; no reset method" || die "the log says that it has one"
		! echo $function >$pciback/do_flr 2>/dev/null || die "do_flr says that it did"
		give_back $function
	done
}

whole_card() {
	leave_tattoos $first $second
	seize $first
	same "tattoo" 0x12345670 "$(tattoo $first)"
	seize $second
	for function in $first $second; do
		same "reset" bus "$(reset_of $function)"
		same "blocked by" "" "$(blocked_by $function)"
		is $function clean
	done
	tattoos_are 0x00000000 $first $second
	leave_tattoos $first $second
	# The registers that are left are not those that were saved.
	echo $second >$pciback/do_flr || die "do_flr fails"
	echo $second >$pciback/do_flr || die "do_flr fails"
	tattoos_are 0x00000000 $first $second
}

# xl gives it to an HVM guest all the same, and does not ask: the driver has to know.
denied() { # DOMAIN SBDF
	log | grep -q "$2: domain $1 must not use it before its reset" &&
		log | grep -q "cannot assign $2 to domain $1: it could not be reset"
}

told() { # TEXT
	log | grep -q "$1"
}

other_guest=32748

# By a guest that keeps the second one.
half_is_returned() {
	assign $first $second
	is $first "assigned $guest"
	is $second "assigned $guest"
	leave_tattoos $first $second
	setpci -s $first COMMAND=4:4
	detach_first
	is $first returned
}

postponed() {
	half_is_returned
	wait_for 5 told "$first: reset postponed: it shares a bus reset with $second, assigned to domain $guest"
	same "blocked by" $second "$(blocked_by $first)"
	same "bus mastering while it waits" 0 $((0x$(config $first COMMAND) & 4))
	! echo $first >$pciback/do_flr 2>/dev/null || die "do_flr says that it did"

	# The same guest gets it again.
	number=1
	add $first
	is $first "assigned $guest"
	wait_for 5 told "$first: not reset before domain $guest gets it"
	detach_first
	is $second returned

	# Another one does not, and nothing is reset under it.
	same_guest=$guest
	plays $other_guest
	assign $second
	wait_for 10 denied $guest $second
	is $second "assigned $guest"
	plays $same_guest
	gone
	is $first returned
	tattoos_are 0x12345670 $first $second
	plays $other_guest
	gone
	is $first clean
	is $second clean
	tattoos_are 0x00000000 $first $second
	plays $same_guest
}

insisted() {
	half_is_returned
	echo $first >$pciback/allow_unreset
	same "those that may" $first "$(cat $pciback/allow_unreset)"
	told "$first: the next guest may get it without a reset" || die "the log does not say so"
	same_guest=$guest
	plays $other_guest
	assign $first
	is $first "assigned $guest"
	wait_for 5 told "$first: not reset before domain $guest gets it"
	gone
	is $first returned
	same "those that may" "" "$(cat $pciback/allow_unreset)"
	plays $same_guest
	gone
	is $first clean
	is $second clean
	tattoos_are 0x00000000 $first $second
}

# For a while, libxl leaves it so: the guest has it in Xen, and XenStore does not say that yet.
give_in_xen() { # SBDF
	rm -f /tmp/until /tmp/assigned
	mkfifo /tmp/until
	assigned $1 </tmp/until >/tmp/assigned 2>&1 &
	exec 9>/tmp/until
	within "what Xen says" assigned cat /tmp/assigned
}

take_in_xen() {
	exec 9>&-
	wait $! || die "$(cat /tmp/assigned)"
}

given_in_xen() {
	assign $first
	is $first "assigned $guest"
	leave_tattoos $first $second
	give_in_xen $second
	gone
	is $first returned
	same "blocked by" $second "$(blocked_by $first)"
	! echo $first >$pciback/do_flr 2>/dev/null || die "do_flr says that it did"
	told "$first: not reset: Xen has assigned $second to a guest" || die "the log does not say so"
	# It may be used until it is taken away in Xen.
	echo $second >$pciback/do_flr || die "do_flr fails"
	is $second returned
	same "tattoo" 0x12345670 "$(tattoo $first)"
	take_in_xen
	is $first clean
	is $second clean
	tattoos_are 0x00000000 $first $second
}

# A toolstack has just reset it, and is about to give it to a guest.
about_to_be_given() {
	# As they were seized.
	echo $first >$pciback/do_flr || die "do_flr fails"
	assign $first
	is $first "assigned $guest"
	echo $second >$pciback/do_flr || die "do_flr fails"
	same "second" touched "$(cat $devices/$second/pciback/state)"
	leave_tattoos $first $second
	gone
	sleep 2
	tattoos_are 0x12345670 $first $second
	wait_for 10 is_clean $first
	tattoos_are 0x00000000 $first $second
}

is_clean() { # SBDF
	[ "$(cat $devices/$1/pciback/state)" = clean ]
}

all_given_back() {
	give_back $first
	give_back $second
	same "first" "" "$(driver_of $first)"
}

hidden() {
	leave_tattoos $first $second
	rmmod xen_pciback
	insmod "$(module_file xen-pciback)" "hide=(0000:01:00.*)" || die "not loaded"
	is $first clean
	is $second clean
	tattoos_are 0x00000000 $first $second
	give_back $first
	give_back $second
}

by_bus() {
	same "tattoo" 0x12345670 "$(tattoo $alone 0x12345670)"
	seize $alone
	same "tattoo" 0x00000000 "$(tattoo $alone)"
	same "reset" bus "$(reset_of $alone)"
	log | grep -q "$alone: .* seized, reset by bus" || die "the log does not say so"
	echo $alone >$pciback/do_flr && echo $alone >$pciback/do_flr || die "do_flr fails"
	# A guest has it in Xen only: it is stopped, and reset when it is taken away.
	give_in_xen $alone
	echo $alone >$pciback/do_flr || die "do_flr fails"
	is $alone returned
	take_in_xen
	is $alone clean
	give_back $alone
}

recovered() {
	log | grep -q "$port: AER: device recovery"
}

# A transaction fails; the driver of the sibling wants a reset of the link.
nonfatal_error() {
	modprobe e1000e || die "no driver for the sibling"
	seize $sibling
	same "driver" e1000e "$(driver_of $driven)"
	assign $sibling
	is $sibling "assigned $guest"
	qmp '{"execute": "human-monitor-command", "arguments": {"command-line": "pcie_aer_inject_error port3 COMP_TIME 0 0 0 0 0"}}'
	wait_for 10 recovered
	# This guest is played: there is no such domain.
	log | grep "$sibling: link reset after an error while assigned to domain $guest, which could not be stopped" ||
		die "the link was reset under the guest"
	gone
	is $sibling clean
	give_back $sibling
}

# Their ports have ACS, and Linux switches it on or not; they themselves have none.
grouped() {
	command -v pcidev >/dev/null || die "no pcidev"
	pcidev groups $first $second $alone --json >/tmp/groups || die "no groups"
	same "first" "null $second $second" "$(group $first)"
	same "second" "null $first $first" "$(group $second)"
	same "alone" "bus - -" "$(group $alone)"
	pcidev groups $first | grep -q "^$first *[^ ]* *bus *$second *$second " || die "$(pcidev groups $first)"
	! error=$(pcidev groups 7f:1f.7 2>&1) || die "a function that there is not"
	case $error in "pcidev: "*"no such PCI function"*) ;; *) die "$error" ;; esac
}

# What is reached behind the same port: other ports may be isolated or not.
group() { # SBDF
	python3 -IS -c '
import json, sys
group, = (group for group in json.load(open("/tmp/groups")) if group["sbdf"] == sys.argv[1])
reached = [other for other in group["reaches"] if other[:7] == sys.argv[1][:7]]
print(group["reset"] or "null", " ".join(group["reset_with"]) or "-", " ".join(reached) or "-")' $1
}

fixed_bars() {
	same "the first BAR in Linux" 0x00000000000001f0 "$(head -n 1 $devices/$ide/resource | cut -d' ' -f1)"
	same "the first BAR" 00000000 "$(config $ide BASE_ADDRESS_0.l)"
	seize $ide
	give_back $ide
}

[ -e $pciback/do_flr ] && in_vm && [ -e $devices/$sibling ] || skip_all "see tests.toml"

plan 12
check "pcidev groups knows those that are reset together, or reach each other" grouped
check "a function whose sibling is not seized has no reset, and the log and sysfs say so" half_a_card
check "two functions that only their bus can reset are reset together" whole_card
check "one whose sibling a guest has waits for its reset, and goes to its last guest only" postponed
check "unless an administrator insists" insisted
check "one that a guest has in Xen, and not in XenStore, is not reset" given_in_xen
check "nor is one that a toolstack has just requested" about_to_be_given
check "all are given back" all_given_back
check "functions of a card that are hidden are reset together" hidden
check "one that is alone on its bus is reset by that" by_bus
check "a link that is reset after a nonfatal error stops the guest" nonfatal_error
check "BARs that are no registers are not taken for lost" fixed_bars
finish
