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

# Binding is not what is measured, and resetting 200 functions takes a minute.
without_reset() {
	for function in $functions; do echo >$devices/$function/reset_method; done
}

bind_up_to() { # NUMBER
	for function in $(echo "$functions" | sed -n "$((bound + 1)),$1p"); do
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
	gsi-calls "$@" $(echo "$functions" | head -n $bound) || give_up "a function cannot be looked up"
}

calls=$(quick 1000 100000)
[ ! "${LOOKUP_INSTRUCTIONS-}" ] || rounds=$(quick 1 2)
several 200 for_both
without_reset

round=0
while [ $round -lt $rounds ]; do
	round=$((round + 1))
	for name in stock rust; do
		driver $name
		bound=0
		for number in 1 16 64 200; do
			bind_up_to $number
			measure $name
		done
		for function in $functions; do give_back $function; done
	done
	echo "# look-ups: round $round of $rounds"
done
unload
