#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# How long xl takes to make a function assignable and to take it back.

. "${0%/*}/swap.sh"

cycle() {
	xl pci-assignable-add $function && xl pci-assignable-remove $function
}

find_functions 1 for_both with_flr
function=$functions
round=0
while [ $round -lt $rounds ]; do
	round=$((round + 1))
	for name in stock rust; do
		driver $name
		for _ in 1 2 3; do
			began=$(now)
			cycle >/dev/null || give_up "xl fails"
			sample assign $name - $(since $began)
		done
	done
	echo "# assigning: round $round of $rounds"
done
unload
