#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# hide= of one and of many functions. Would catch: functions that are reset one
# after the other, a load that waits for it, a function that is offered before its
# reset is done, and one that another driver gets in the meantime.

. "${0%/*}/ktap.sh"

now() { # in hundredths of a second
	read -r up _ </proc/uptime
	echo "${up%.*}${up#*.}"
}

list() {
	printf '(%s)' $1
}

all_bound() { # FUNCTIONS
	for function in $1; do [ "$(driver_of $function)" = pciback ] || return 1; done
}

# How long until all are offered.
hide() { # FUNCTIONS
	! is_loaded xen_pciback || rmmod xen_pciback
	began=$(now)
	modprobe xen-pciback "hide=$(list "$1")" || die "not loaded"
	loaded=$(now)
	until all_bound "$1"; do
		[ $(($(now) - began)) -lt $((3000 * ${SLOW:-1})) ] || die "not all are offered after 30 s"
	done
	ended=$(now)
	echo "$1: loaded after $(((loaded - began) * 10)) ms, offered after $(((ended - began) * 10)) ms" >&2
	echo "$((loaded - began)) $((ended - began))"
}

# How many resets there are at a time, at most. All but the waiting is done by the
# emulator's one processor, and takes longer than that.
at_a_time() {
	echo pcie_flr pci_dev_wait >$tracing/set_ftrace_filter
	echo function >$tracing/current_tracer
	echo >$tracing/trace
	hide "$functions" >$tmp/times
	awk '/: pcie_flr / { n++ } /: pci_dev_wait <-pcie_flr/ { n-- } n > most { most = n } END { print most + 0 }' $tracing/trace
	echo nop >$tracing/current_tracer
}

# Less than all of them: on a slow machine, the first reset is over before the work
# for the last is begun.
all_at_once() {
	most=$(at_a_time)
	[ "$most" -ge 3 ] || die "of $number functions, $most are reset at a time"
}

does_not_wait() {
	read -r loaded offered <$tmp/times
	[ $((loaded * 2)) -lt $offered ] || die "loaded after $loaded, offered after $offered hundredths of a second"
}

# Each time that a function can be seen as offered, it has been reset.
none_too_early() {
	rmmod xen_pciback
	modprobe xen-pciback "hide=$(list "$functions")"
	until all_bound "$functions"; do
		for link in $pciback/0000:*; do
			[ -e $link ] || continue
			sbdf=${link##*/}
			echo $sbdf >$pciback/do_flr || die "$sbdf is offered, but not known"
			echo $sbdf
		done
	done >$tmp/seen
	for function in $functions; do
		case $(cat $devices/$function/pciback/state) in clean | touched) ;; *) die "$function" ;; esac
	done
}

# As udev might load it in the meantime.
against_the_native() {
	rmmod xen_pciback
	modprobe -r nvme
	modprobe xen-pciback "hide=$(list "$functions")"
	modprobe nvme
	wait_for 10 all_bound "$functions"
	modprobe -r nvme
	for function in $functions; do
		grep -q null $devices/$function/driver_override || die "$function is left with an override"
	done
}

# A function that has a driver is left alone, and the log says what to do.
too_late() {
	rmmod xen_pciback
	modprobe nvme
	echo $first >$drivers/nvme/bind 2>/dev/null
	modprobe xen-pciback "hide=$(list "$first")"
	same "driver" nvme "$(driver_of $first)"
	log | grep -q "$first: not hidden: bound to" || die "the log does not say so"
	modprobe -r nvme
}

disk() { # SBDF
	case $(cat $devices/$1/class) in 0x0108*) has_flr_and_msix $1 ;; *) return 1 ;; esac
}

[ -e $pciback ] && in_vm || skip_all "needs our own machine"
functions=$(spare_functions disk)
first=$(echo "$functions" | head -n 1)
number=$(echo "$functions" | wc -l)
[ $number -ge 8 ] || skip_all "needs eight disks: see tests.toml"

tracing=/sys/kernel/tracing
tmp=$(mktemp -d)

plan 5
check "$number functions are reset at the same time" all_at_once
check "loading does not wait for it" does_not_wait
check "nothing is offered before it is reset" none_too_early
check "no other driver gets one in the meantime" against_the_native
check "one that has a driver is left alone" too_late
rmmod xen_pciback
modprobe xen-pciback
finish
