#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# A guest that owns one function of a card and writes everything that it may write, resets
# and DMA included. Would catch: a reset, or anything else, that reaches the sibling, whoever
# has that; a function that is offered before both are back; and traces for the next owner.

. "${0%/*}/ktap.sh"
. "${0%/*}/toolstack"
. "${0%/*}/guests"
. "${0%/*}/animals"
. "${0%/*}/picture"

rounds=${HOSTILE_ROUNDS:-1 2}
seconds=${HOSTILE_SECONDS:-10}

# Who has the sibling, and how this round ends.
turn() { # ROUND
	case $(($1 % 2)) in
	1) has=nobody end=destroyed ;;
	0) has="another guest" end=crashed ;;
	esac
	seed=$((${HOSTILE_SEED:-1} + $1))
	what="round $1, $has has the sibling"
}

crashed() {
	xen-hvmcrash $(xl domid $1)
	until_gone $1
}

count() { # FILE
	awk '$1 == "tried" { n = $2 } END { print n + 0 }' $1
}

# What nobody but its owner may change.
sibling() {
	read_bar $other 0 $TATTOO
	hardware $other
	for name in resets.bus command_writes dma_done dma_tried; do echo $name $(fact nic-pair.1 $name); done
}

created() {
	for function in $victim $other; do is $function clean; done
	order forget nic-pair.1
	if [ "$has" != nobody ]; then
		assign $other
		is $other "assigned $guest"
	fi
	start_guest h "" $victim || die "no guest"
	setpci -s $other COMMAND=2:2
	write_bar $other 0 $TATTOO 0x77
	hardware $victim >$tmp/victim
	sibling >$tmp/sibling
	grep -q '^0x77' $tmp/sibling || die "no tattoo: $(cat $tmp/sibling)"
}

# In the guest the first function of the card is the one with the lower address.
scribble() {
	guest-exec --timeout $((seconds * 4 + 60)) h -c "
		for d in /sys/bus/pci/devices/*; do
			[ \$(cat \$d/vendor)\$(cat \$d/device) = 0x80860x15f5 ] || continue
			exec hostile-device $seed $seconds \${d##*/}
		done" >$tmp/device 2>&1
	[ $(count $tmp/device) -gt 500 ] || die "hardly anything was written: $(tail $tmp/device)"
	differs $tmp/victim $victim >/dev/null || die "the function has not changed"
	echo "DMA: $(fact nic-pair.0 dma_done) done, $(fact nic-pair.0 dma_failed) failed"
}

told() { # TEXT
	log | grep -q "$1"
}

untouched() {
	sibling | diff $tmp/sibling - || die "the sibling has changed"
	log | awk -v sbdf=$victim 'index($0, sbdf) { n++ } END { exit n > 20 }' || die "too much in the log"
}

back() {
	if [ "$has" = "another guest" ]; then
		is $victim returned
		wait_for 10 told "$victim: reset postponed: it shares a bus reset with $other, assigned to domain $guest"
		same "bus mastering while it waits" 0 $((0x$(config $victim COMMAND) & 4))
		untouched
		xenstore-rm $backend
		xenstore-rm /local/domain/$guest
	fi
	for function in $victim $other; do
		is $function clean
		same "tattoo of $function" 0x0 "$(read_bar $function 0 $TATTOO)"
	done
	! differs $tmp/fresh $victim
	xl pci-assignable-list | grep -q $victim || die "not assignable"
}

given_back() {
	give_back $victim
	give_back $other
}

round() {
	turn $1
	check "$what: a guest gets a function" created
	check "$what: it scribbles on it" scribble
	tried $(count $tmp/device) writes to a function of a card by its owner, seed $seed
	check "$what: the sibling is untouched" untouched
	check "$what: the guest is $end" $end h
	check "$what: both are as fresh as ever" back
}

victim=$(find_pair | head -n 1) other=$(find_pair | tail -n 1)
command -v zoo >/dev/null && [ "$victim" ] && [ -e $pciback/do_flr ] || skip_all "see hard.toml"

plan $((5 * $(echo $rounds | wc -w) + 1))
seize $victim
seize $other
for function in $victim $other; do (is $function clean); done
hardware $victim >$tmp/fresh
for round in $rounds; do round $round; done
check "they are given back" given_back
finish
