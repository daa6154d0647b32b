#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# An HVM guest that writes to its side of XenStore as fast as it can; dom0, which is
# faster, plays it. Would catch: work, memory or log lines that a guest can cause,
# a thread of the kernel that it can hold up, and ways to keep xen-pciback from
# knowing what it has.

. "${0%/*}/ktap.sh"
. "${0%/*}/toolstack"

seconds=${HOSTILE_SECONDS:-6}
seed=${HOSTILE_SEED:-1}
# In milliseconds, in the emulator. Reset of a function: 100 at least.
longest=${HOSTILE_LATENCY:-500}
tracing=/sys/kernel/tracing
event=$tracing/events/workqueue/workqueue_queue_work

# What xen-pciback is made to do while a command runs.
work() { # COMMAND [ARG...]
	echo 'workqueue ~ "xen-pciback*"' >$event/filter
	echo >$tracing/trace
	echo 1 >$event/enable
	"$@" >&2
	# It is told a little later.
	sleep 1
	echo 0 >$event/enable
	echo 0 >$event/filter
	grep -c workqueue_queue_work $tracing/trace
}

# KiB of the kernel's own memory that cannot be taken back.
kernel_memory() {
	echo 3 >/proc/sys/vm/drop_caches
	awk '/^SUnreclaim/ { print $2 }' /proc/meminfo
}

messages() {
	dmesg | grep -vc drop_caches
}

storm() { # SECONDS
	hostile-store $seed $1 $frontend
}

storm_watched() {
	storm $seconds >$tmp/storm &
	watch-latency /selftest $((seconds - 1)) >$tmp/latency
	wait
}

ready() {
	xenstore-write /selftest 0
	assign $a
	is $a "assigned $guest"
	node state 3
	# What is made at the first time.
	storm 1 >/dev/null
	xenstore-write $frontend/backend $backend $frontend/state 1
}

survey() {
	nodes=$(xenstore-ls -p $backend)
	lines=$(messages)
	memory=$(kernel_memory)
	works=$(work storm_watched)
	memory=$(($(kernel_memory) - memory))
	lines=$(($(messages) - lines))
}

mostly_written() {
	set -- $(tail -n 1 $tmp/storm)
	[ $2 -gt $((seconds * 20)) ] && [ $4 -lt $(($2 / 2)) ] || die "only: $*"
}

unchanged() {
	is $a "assigned $guest"
	same "what the backend has" "$nodes" "$(xenstore-ls -p $backend)"
}

quiet() {
	[ $lines -le 1 ] || die "$lines lines: $(dmesg | tail -n $lines | head -n 5)"
}

idle() {
	same "work" 0 $works
	# And that it would be seen.
	[ "$(work xenstore-write $backend/num_devs 1)" -gt 0 ] || die "work is not seen at all"
}

small() {
	[ $memory -lt 1024 ] || die "$memory KiB"
}

prompt() {
	echo "longest, mean, times: $(cat $tmp/latency)"
	set -- $(cat $tmp/latency)
	[ $1 -le $longest ] && [ $3 -gt $seconds ]
}

without_function() {
	xenstore-rm $backend
	is $a clean
	xl destroy h
}

# The guest takes its frontend away before anybody has looked.
without_frontend() {
	assign_without_frontend $a
	is $a "assigned $guest"
	add $b
	is $b "assigned $guest"
	detach_first
	is $a clean
	is $b "assigned $guest"
	gone
	is $b clean
}

assign_without_frontend() { # SBDF
	xenstore-rm /local/domain/$guest 2>/dev/null
	number=0
	xenstore-write $backend/frontend $frontend $backend/frontend-id $guest $backend/online 1 \
		$backend/num_devs 0 $backend/domain test $backend/state 1
	entry $1
}

# And puts it back, and takes it away.
to_and_fro() {
	assign_without_frontend $a
	for i in 1 2 3 4 5 6 7 8 9 10; do
		xenstore-write $frontend/state 1 $backend/num_devs 1
		is $a "assigned $guest"
		xenstore-rm $frontend
		xenstore-write $backend/num_devs 1
		is $a "assigned $guest"
	done
	gone
	is $a clean
}

[ -e $pciback/do_flr ] && command -v xenstore-write >/dev/null && in_vm || skip_all "needs our own machine, and our driver"
set -- $(spare_functions has_msix)
[ $# -ge 2 ] || skip_all "needs two unused functions"
a=$1 b=$2
tmp=$(mktemp -d)

plan 12
for function in $a $b; do seize $function; done
check "an HVM guest is there" idle_guest h
plays $(xl domid h)
check "it has a function" ready
survey
tried $(awk 'END { print $2 }' $tmp/storm) writes to XenStore in $seconds s, seed $seed
check "most of what it wrote was taken" mostly_written
check "none of it has an effect on its backend" unchanged
check "the log has one line at most" quiet
check "xen-pciback does nothing, which would be seen" idle
check "the kernel has no more memory than before (XSA-349)" small
check "the kernel tells others of changes within $longest ms" prompt
check "the function is free when the guest has lost it" without_function
plays $nobody
check "a guest without a frontend is known to have its functions, and loses them" without_frontend
check "so is one whose frontend comes and goes" to_and_fro
functions="$a $b"
check "all are returned" each give_back
finish
