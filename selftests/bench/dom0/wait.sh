#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# How long others wait for the kernel's XenStore thread, which all backends share,
# while a function comes back from a guest that this script plays and is reset.

. "${0%/*}/swap.sh"
. "${0%/*}/../../dom0/toolstack"

seconds=2

longest() {
	watch-latency /tool/bench $seconds | cut -d' ' -f1
}

# The stock driver does not tell when it has it back: its node goes before that.
come_and_go() {
	while [ ! -e $tmp/stop ]; do
		assign $function
		node state 3
		gone
		sleep 0.5
	done
}

measure() { # stock|rust
	driver $1
	seize $function
	sample wait $1 0 $(longest)
	rm -f $tmp/stop
	come_and_go &
	sample wait $1 1 $(longest)
	touch $tmp/stop
	wait
	give_back $function
}

tmp=$(mktemp -d)
find_functions 1 for_both with_flr
function=$functions
round=0
while [ $round -lt $(quick 1 5) ]; do
	round=$((round + 1))
	for name in stock rust; do measure $name; done
	echo "# waiting: round $round"
done
xenstore-rm /tool/bench
unload
