#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# What a function goes through with a guest. Would catch: a reset too many, one
# that holds up XenStore, and a guest that goes on with a function that failed.

. "${0%/*}/ktap.sh"
. "${0%/*}/guests"
. "${0%/*}/behind-port"

tracing=/sys/kernel/tracing
nvme=0000:00:07.0	# with FLR
wants $nvme $behind

traced() { # COMMAND [ARG...]: the tasks that reset a function
	echo __pci_reset_function_locked >$tracing/set_ftrace_filter
	echo function >$tracing/current_tracer
	echo >$tracing/trace
	"$@" >&2
	result=$?
	grep -v '^#' $tracing/trace | awk '{ print $1 }'
	echo nop >$tracing/current_tracer
	return $result
}

life() {
	assignable $nvme
	create l $nvme
	xl destroy l
	free $nvme
	returned $nvme
}

two_resets() {
	traced life >$tmp/resets || die "a life went wrong"
	same "resets of assignable-add, create, destroy, assignable-remove" 2 "$(grep -c . $tmp/resets)"
	! grep xenwatch $tmp/resets || die "one of them held up XenStore"
}

fatal_error() {
	assignable $behind
	create e $behind
	uevents >$tmp/uevents 2>&1 &
	monitor=$!
	wait_for 10 grep -q listening $tmp/uevents
	inject port1
	until_gone e
	sleep 1
	kill $monitor
	log | grep "$behind: fatal error while assigned to domain [0-9]*; domain stopped" || die "the log does not say so"
	grep -q "^change@.*/$behind .*XEN_PCI_ERROR=fatal XEN_PCI_DOMAIN=[0-9]" $tmp/uevents ||
		die "udev is not told: $(cat $tmp/uevents)"
	free $behind
	create e $behind
	xl destroy e
	free $behind
}

plan 2
check "a function's life takes two resets, none of them on XenStore's thread" two_resets
check "a fatal error stops the guest, and administrators hear of it" fatal_error
finish
