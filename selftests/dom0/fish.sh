#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Whether a debug kernel finds bugs, and we hear of it: each point has to fail
# there. After the first about locks the kernel does not look at locks any more.

. "${0%/*}/ktap.sh"
. "${0%/*}/kmemleak"

bite() { # BUG
	insmod $file bug=$1 || die "fish.ko does not load"
	rmmod fish
}

bites() { # BUG
	marker="fish $1 $$"
	echo "$marker" >/dev/kmsg
	bite $1
	no_fault
}

bites_memory() {
	bite leak
	no_leak
}

file=$(module_file fish)
[ "$file" ] && in_vm || skip_all "bugs on purpose are for our own machine"
[ -e /proc/lockdep_stats ] || skip_all "the kernel does not look for its bugs"

plan 9
for bug in abba sleeping list refcount bounds kfence redzone poison; do
	check "the kernel log has no fault: $bug" bites $bug
done
check "no memory is lost: leak" bites_memory
tried 9 bugs on purpose
finish
