#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# What the kernel has allocated for each function that is bound, as the slab caches
# count it: after both modules were loaded and so many functions bound, less what it
# was before. xen-pcidev keeps a record of functions that are not bound, too.

. "${0%/*}/swap.sh"

# Objects that are in use. Caches count those of partly filled pages exactly only
# when they have been shrunk.
slab_bytes() {
	for cache in /sys/kernel/slab/*/shrink; do echo 1 >$cache 2>/dev/null; done
	awk 'NR > 2 { sum += $2 * $4 } END { printf "%d\n", sum }' /proc/slabinfo
}

settled() {
	sync
	echo 3 >/proc/sys/vm/drop_caches
	sleep 1
	slab_bytes
}

measure() { # stock|rust
	unload
	before=$(settled)
	driver $1
	for function in $functions; do seize $function; done
	sample memory $1 $count $((($(settled) - before) / count))
	for function in $functions; do give_back $function; done
}

find_functions $(quick 8 200) for_both
without_reset
round=0
while [ $round -lt $(quick 1 3) ]; do
	round=$((round + 1))
	for name in stock rust; do measure $name; done
	echo "# memory: round $round"
done
unload
