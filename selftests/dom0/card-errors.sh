#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Errors of one function of a card. Linux recovers the whole card from them. Would catch: a
# sibling whose link is reset under its guest without a word, one that is offered with
# registers that the link has lost, and an error for ever.

. "${0%/*}/ktap.sh"
. "${0%/*}/toolstack"

# Two that only their bus can reset. Both report errors, and so does their port.
one=0000:04:00.0 two=0000:04:00.1
port=0000:00:0b.0
other_guest=32748

# The status that a driver has given it, which a reset clears.
tattoo() { # SBDF [VALUE]
	bar=$(sed -n '5s/ .*//p' $devices/$1/resource)
	setpci -s $1 COMMAND=2:2
	[ "${2-}" = "" ] || busybox devmem $((bar + 20)) 8 $2
	busybox devmem $((bar + 20)) 8
	setpci -s $1 COMMAND=0:2
}

tattoos_are() { # VALUE
	for function in $one $two; do same "tattoo of $function" $1 "$(tattoo $function)"; done
}

leave_tattoos() {
	for function in $one $two; do same "tattoo" 0x01 "$(tattoo $function 1)"; done
}

recoveries() {
	log | grep -c "$port: AER: device recovery"
}

recovered() {
	[ "$(recoveries)" != "$before" ]
}

error() { # DEVICE OF THE EMULATOR, ERROR
	before=$(recoveries)
	echo "selftest: an error of $1" >/dev/kmsg
	qmp '{"execute": "human-monitor-command", "arguments": {"command-line": "pcie_aer_inject_error '"$1 $2"' 0 0 0 0 0"}}'
	wait_for 10 recovered
}

since_error() {
	log | awk '/selftest: an error of/ { text = "" } { text = text $0 "\n" } END { printf "%s", text }'
}

told() { # TEXT
	since_error | grep -q "$1" || die "the log does not say: $1"
}

# A guest that is played cannot be stopped: there is no such domain.
stopped() { # SBDF GUEST
	told "$1: fatal error while assigned to domain $2, which could not be stopped"
}

bars() { # SBDF
	for bar in 1 4 5; do config $1 BASE_ADDRESS_$bar.l; done
}

have_their_bars() {
	same "BARs of $one" "$bars_one" "$(bars $one)"
	same "BARs of $two" "$bars_two" "$(bars $two)"
}

each_has_one() {
	assign $one
	is $one "assigned $guest"
	first_guest=$guest
	plays $other_guest
	assign $two
	is $two "assigned $guest"
	leave_tattoos
}

both_gone() {
	gone
	plays $first_guest
	gone
	is $one clean
	is $two clean
	tattoos_are 0x00
	have_their_bars
}

nonfatal() {
	each_has_one
	error one COMP_TIME
	told "$one: nonfatal error, not reported to domain $first_guest"
	told "$two: nonfatal error, not reported to domain $other_guest"
	is $one "assigned $first_guest"
	is $two "assigned $other_guest"
	tattoos_are 0x01
	both_gone
}

fatal() {
	each_has_one
	error one MALF_TLP
	stopped $one $first_guest
	stopped $two $other_guest
	# A guest that cannot be stopped has it still, whatever the link lost.
	is $one "assigned $first_guest"
	is $two "assigned $other_guest"
	tattoos_are 0x00
	both_gone
}

# Each guest is stopped before the link is reset under it.
stopped_first() {
	assign $two
	is $two "assigned $guest"
	error one MALF_TLP
	told "$one: fatal error, no guest has it"
	stopped $two $guest
	since_error | awk "/$two: fatal error while assigned to domain $guest/ { stopped = NR } /$port: .*link has been reset/ { reset = NR }
		END { exit !(stopped && stopped < reset) }" || die "the link was reset first"
	is $one clean
	have_their_bars
	# The next guest need not wait for that one.
	first_guest=$guest
	plays $other_guest
	assign $one
	is $one "assigned $guest"
	both_gone
}

# Without a driver for all, Linux resets the link and calls nobody afterwards. Nor is there a
# reset then.
not_recovered() {
	give_back $one
	assign $two
	is $two "assigned $guest"
	error port4 DLP
	told "$port: AER: device recovery failed"
	stopped $two $guest
	gone
	is $two touched
	within "BARs of $two" "$bars_two" bars $two
}

not_recovered_free() {
	error port4 DLP
	told "$port: AER: device recovery failed"
	told "$two: fatal error, no guest has it"
	within "BARs of $two" "$bars_two" bars $two
	is $two touched
	give_back $two
	# What dom0 has nobody restores.
	echo 1 >$devices/$one/remove
	echo 1 >/sys/bus/pci/rescan
	wait_for 5 test -e $devices/$one
}

[ -e $pciback/do_flr ] && in_vm && [ -e $devices/$two ] || skip_all "see tests.toml"

plan 5
seize $one
seize $two
bars_one=$(bars $one) bars_two=$(bars $two)
check "a nonfatal error of one function is told for both, and resets none" nonfatal
check "a fatal error stops the guests of both" fatal
check "one that is free stops the guest of the other before their link is reset" stopped_first
check "a function has its registers after an error from which Linux does not recover" not_recovered
check "so is one that nobody had" not_recovered_free
finish
