#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# What it takes to learn the GSI of a function by the ioctl of /dev/xen/privcmd,
# as libxl and QEMU do: with more and more functions bound, each asked for in turn.
#
# LOOKUP_INSTRUCTIONS=yes: on a machine whose clock counts instructions, one in
# each nanosecond (QEMU's -icount shift=0): the fastest piece is the number of
# instructions of the calls and of nothing else.

. "${0%/*}/swap.sh"

bind_up_to() { # NUMBER
	for function in $(first $1 | tail -n +$((bound + 1))); do
		seize $function
	done
	bound=$1
}

measure() { # stock|rust
	if [ "${LOOKUP_INSTRUCTIONS-}" ]; then
		sample lookup-instructions $1 $bound $(ask 10000 1 200 | cut -d' ' -f2)
	else
		sample lookup $1 $bound $(ask $calls 1 1000 | cut -d' ' -f1)
		sample lookup-two $1 $bound $(ask $calls 2 1000 | cut -d' ' -f1)
	fi
}

ask() { # CALLS TASKS PIECE
	gsi-calls "$@" $(first $bound) || give_up "a function cannot be looked up"
}

calls=$(quick 1000 100000)
rounds=$(quick 1 3)
find_functions 200 for_both
without_reset

round=0
while [ $round -lt $rounds ]; do
	round=$((round + 1))
	for name in stock rust; do
		driver $name
		bound=0
		for number in 1 16 64 200; do
			[ $number -le $count ] || continue
			bind_up_to $number
			measure $name
		done
		for function in $functions; do give_back $function; done
	done
	echo "# look-ups: round $round of $rounds"
done
unload
if [ "${LOOKUP_INSTRUCTIONS-}" ]; then
	bound=1
	echo "about floor a GSI look-up that no driver answers takes $(ask 10000 1 200 | cut -d' ' -f2) instructions"
fi
