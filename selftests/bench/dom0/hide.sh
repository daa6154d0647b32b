#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# How long it takes from loading xen-pciback with hide= until all functions are
# assignable. Each has an FLR, and so the 100 ms that PCI gives it.

. "${0%/*}/swap.sh"

hide() { # stock|rust FUNCTION...
	name=$1
	shift
	# With xen-pcidev, or without.
	driver $name
	rmmod xen_pciback
	took=$(until-bound "$@" -- insmod "$(pciback_module $name)" "hide=$(printf '(%s)' "$@")") ||
		give_up "hide= of $# functions fails"
	sample hide $name $# $took
}

find_functions 32 for_both with_flr
round=0
while [ $round -lt $rounds ]; do
	round=$((round + 1))
	for number in 1 4 16 32; do
		[ $number -le $count ] || continue
		for name in stock rust; do hide $name $(first $number); done
	done
	echo "# hide=: round $round of $rounds"
done
unload
