#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# What a debug kernel (selftests/vm/debug.config) has found since the boot: run
# it last. Would catch: what no test looks at, such as a fault between two tests
# or while modules were loaded; memory that nobody has a pointer to any more; a
# kernel that has given up to look.

. "${0%/*}/ktap.sh"
. "${0%/*}/kmemleak"

watches_locks() {
	same "debug_locks" 1 "$(awk '/debug_locks:/ { print $2 }' /proc/lockdep_stats)"
}

log_is_clean() {
	! dmesg | faulty
}

# A bad page, a died task, a warning, a lockup: also those that the log has lost.
kernel_is_unharmed() {
	tainted=$(cat /proc/sys/kernel/tainted)
	same "bits of tainted" 0 $((tainted & (1 << 5 | 1 << 7 | 1 << 9 | 1 << 14)))
}

{ [ -e /proc/lockdep_stats ] && [ -e $kmemleak ]; } || skip_all "the kernel does not look for its bugs"

plan 4
check "locks are watched to the end" watches_locks
check "the kernel log has no fault since the boot" log_is_clean
check "the kernel does not think that it is damaged" kernel_is_unharmed
check "no memory is lost" no_leak
tried "$(awk '/dependency chains:/ { print $3 }' /proc/lockdep_stats)" orders of taking locks
tried "$(known_leaks)" leaks of the kernel itself, known
finish
