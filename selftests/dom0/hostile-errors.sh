#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# A guest whose function reports errors, one after the other: it may know how to
# cause them. Would catch: a line in the log, or an event for udev, for each.

. "${0%/*}/ktap.sh"
. "${0%/*}/toolstack"

times=${HOSTILE_TIMES:-12}
behind=0000:01:00.0
port=0000:00:08.0

recovered() {
	[ "$(log | grep -c "$port: AER: device recovery")" -ge $1 ]
}

# A completion that does not come in time.
error() {
	before=$(log | grep -c "$port: AER: device recovery")
	qmp '{"execute": "human-monitor-command", "arguments": {"command-line": "pcie_aer_inject_error port1 COMP_TIME 0 0 0 0 0"}}'
	wait_for 10 recovered $((before + 1))
}

told() {
	log | grep -c "$behind: nonfatal error, not reported to domain $guest"
}

many() {
	assign $behind
	is $behind "assigned $guest"
	for i in $(seq $times); do error; done
	same "lines" 1 "$(told)"
}

next_one() {
	gone
	is $behind clean
	assign $behind
	is $behind "assigned $guest"
	error
	same "lines" 2 "$(told)"
	gone
	is $behind clean
}

two_events() {
	wait_for 10 grep -q "XEN_PCI_ERROR=nonfatal XEN_PCI_DOMAIN=$guest" $tmp/uevents
	same "events" 2 "$(grep -c XEN_PCI_ERROR=nonfatal $tmp/uevents)"
}

[ -e $pciback/do_flr ] && in_vm && [ -e $devices/$behind ] || skip_all "see tests.toml"
tmp=$(mktemp -d)

plan 4
seize $behind
uevents >$tmp/uevents 2>&1 &
monitor=$!
(wait_for 10 grep -q listening $tmp/uevents)
check "of $times errors that a guest may have caused one is in the log" many
tried $((times + 1)) errors of a function that a guest has
check "so is the first one of the next guest" next_one
check "udev is told of these two" two_events
kill $monitor
give_back $behind
check "nobody has the function" [ -z "$(driver_of $behind)" ]
finish
