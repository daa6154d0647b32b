#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Functions that are less simple than QEMU's NICs: with a sibling behind the same port,
# or with BARs that are no registers. Would catch: a reset of the bus that is announced
# and never happens, a link that is reset under a guest because a sibling's driver asks
# for it, and a function that is refused because its BARs are taken for lost.

. "${0%/*}/ktap.sh"
. "${0%/*}/toolstack"

# Two that can be reset by their bus only, one alone that can, and two with a driver of
# dom0's.
first=0000:01:00.0 second=0000:01:00.1
alone=0000:02:00.0
driven=0000:03:00.0 sibling=0000:03:00.1
port=0000:00:0a.0
# An IDE controller in legacy mode: its first four BARs are the addresses of old.
ide=0000:00:19.0

method() { # SBDF
	cat $devices/$1/pciback/reset
}

no_method() {
	# Made when the second function was not there yet.
	same "the kernel's list" bus "$(cat $devices/$first/reset_method)"
	for function in $first $second; do
		seize $function
		same "reset" none "$(method $function)"
		log | grep -q "$function: seized; no reset method" || die "the log does not say so"
		! echo $function >$pciback/do_flr 2>/dev/null || die "do_flr says that it did"
		give_back $function
	done
}

by_bus() {
	seize $alone
	same "reset" bus "$(method $alone)"
	log | grep -q "$alone: seized, reset by bus" || die "the log does not say so"
	echo $alone >$pciback/do_flr && echo $alone >$pciback/do_flr || die "do_flr fails"
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
	log | grep "$sibling: link reset after an error: domain $guest has it and could not be stopped" ||
		die "the link was reset under the guest"
	gone
	is $sibling clean
	give_back $sibling
}

fixed_bars() {
	same "the first BAR in Linux" 0x00000000000001f0 "$(head -n 1 $devices/$ide/resource | cut -d' ' -f1)"
	same "the first BAR" 00000000 "$(config $ide BASE_ADDRESS_0.l)"
	seize $ide
	give_back $ide
}

[ -e $pciback/do_flr ] && in_vm && [ -e $devices/$sibling ] || skip_all "see tests.toml"

plan 4
check "two functions that only their bus can reset have no reset, and the log says so" no_method
check "one that is alone on its bus is reset by that" by_bus
check "a link that is reset after a nonfatal error stops the guest" nonfatal_error
check "BARs that are no registers are not taken for lost" fixed_bars
finish
