#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# How long others wait for the kernel's XenStore thread, which all backends share,
# while a function comes back from a guest that this script plays and is reset. What
# plays runs when nothing else wants to: its own use of the processor is not meant.

. "${0%/*}/swap.sh"
. "${0%/*}/../../dom0/toolstack"

seconds=2

# The stock driver does not tell when it has it back: its node goes before that.
come_and_go() { # SBDF STOP
	while [ ! -e $2 ]; do
		assign $1
		if [ -e $pciback ]; then node state 3; else sleep 0.1; fi
		gone
		sleep 0.5
	done
}

# With a function that comes and goes.
longest_meanwhile() {
	rm -f $tmp/stop
	chrt --idle 0 "$0" $function $tmp/stop &
	watch-latency /tool/bench $seconds | cut -d' ' -f1
	touch $tmp/stop
	wait
}

measure() { # stock|rust
	driver $1
	for resets in 0 1; do
		[ $resets = 1 ] || without_reset
		[ $resets = 0 ] || with_reset
		seize $function
		sample wait $1 $resets $(longest_meanwhile)
		give_back $function
	done
}

if [ $# != 0 ]; then
	come_and_go "$@"
	exit
fi
tmp=$(mktemp -d)
find_functions 1 for_both with_flr
function=$functions
round=0
while [ $round -lt $(quick 1 5) ]; do
	round=$((round + 1))
	for name in stock rust; do measure $name; done
	echo "# waiting: round $round"
done
unload
echo "about floor a function that comes and goes while no driver is loaded makes others wait $(longest_meanwhile) ms"
xenstore-rm /tool/bench
