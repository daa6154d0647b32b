#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# How often the PCI core resets a function that xl makes assignable, gives to a
# guest, and takes back.

. "${0%/*}/swap.sh"
. "${0%/*}/../../dom0/guests"

tracing=/sys/kernel/tracing

life() {
	assignable $function
	create life $function
	xl destroy life
	free $function
	returned $function
}

resets() {
	echo __pci_reset_function_locked >$tracing/set_ftrace_filter
	echo function >$tracing/current_tracer
	echo >$tracing/trace
	life >&2 || give_up "a life went wrong"
	grep -vc '^#' $tracing/trace
	echo nop >$tracing/current_tracer
}

find_functions 1 for_both with_flr
function=$functions
round=0
while [ $round -lt $(quick 1 3) ]; do
	round=$((round + 1))
	for name in stock rust; do
		driver $name
		sample resets $name - $(resets)
	done
	echo "# resets: round $round"
done
unload
