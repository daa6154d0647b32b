#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Resets from everywhere. Would catch: a reset that Xen's vPCI does not know of.
# It drops the BARs that are put back then, without a word. And a function that
# is reset for nothing.

. "${0%/*}/ktap.sh"

tracing=/sys/kernel/tracing

bars() { # SBDF
	for bar in 0 1 2 3 4 5; do config $1 BASE_ADDRESS_$bar.l; done
	config $1 COMMAND
}

# How often the PCI core resets while a command runs.
resets() { # COMMAND [ARG...]
	echo __pci_reset_function_locked >$tracing/set_ftrace_filter
	echo function >$tracing/current_tracer
	echo >$tracing/trace
	"$@" >&2
	grep -c __pci_reset_function_locked $tracing/trace
	echo nop >$tracing/current_tracer
}

keeps_bars() { # SBDF COMMAND [ARG...]
	before=$(bars $1)
	sbdf=$1
	shift
	"$@" || die "no reset: $*"
	same "BARs and COMMAND of $sbdf" "$before" "$(bars $sbdf)"
}

flr() {
	echo $nvme >$pciback/do_flr && echo $nvme >$pciback/do_flr
}

sysfs() {
	echo 1 >$devices/$nvme/reset
}

bridge() {
	echo 1 >$devices/$port/reset_subordinate
}

recoveries() {
	log | grep -c "$port: AER: device recovery"
}

recovered() {
	[ "$(recoveries)" != "$before_error" ]
}

# The port reports an uncorrectable, fatal error of its link.
fatal_error() {
	before_error=$(recoveries)
	qmp '{"execute": "human-monitor-command", "arguments": {"command-line": "pcie_aer_inject_error port1 DLP 0 0 0 0 0"}}'
	wait_for 10 recovered
}

reset_of_link() {
	seize $behind
	keeps_bars $behind fatal_error
	same state clean "$(cat $devices/$behind/pciback/state)"
	give_back $behind
}

# The same with Xen kept in the dark: the function is stopped before its BARs are restored.
without_a_word() {
	seize $behind
	echo 0 >/sys/module/xen_pciback/parameters/tell
	keeps_bars $behind fatal_error
	echo 1 >/sys/module/xen_pciback/parameters/tell
	give_back $behind
}

sleeping() {
	# D3hot, as a guest may leave it.
	setpci -s $nvme CAP_PM+4.w=3
	echo $nvme >$pciback/do_flr && echo $nvme >$pciback/do_flr
	same "power state" 0 "$((0x$(config $nvme CAP_PM+4.w) & 3))"
}

# A reset by power management leaves this: PMEs, and which of its data a function shows.
power() {
	seize $behind
	echo pm >$devices/$behind/reset_method
	setpci -s $behind CAP_PM+4.w=1f00
	same "before" 1f00 "$(config $behind CAP_PM+4.w)"
	keeps_bars $behind sh -c "echo 1 >$devices/$behind/reset"
	same "power management" 0000 "$(config $behind CAP_PM+4.w)"
	echo default >$devices/$behind/reset_method
	give_back $behind
}

cycle() {
	xl pci-assignable-add $nvme
	xl pci-assignable-remove $nvme
}

only_if_touched() {
	same "resets of assignable-add and -remove" 1 "$(resets cycle)"
	seize $nvme
	same "resets for the first do_flr" 0 "$(resets sh -c "echo $nvme >$pciback/do_flr")"
	same "resets for the second" 1 "$(resets sh -c "echo $nvme >$pciback/do_flr")"
	give_back $nvme
	seize $nvme
	# As Xen leaves a function whose guest had MSI-X when it frees that guest's interrupts.
	setpci -s $nvme CAP_MSIX+2.w=4000:4000
	same "resets if MSI-X is masked" 1 "$(resets sh -c "echo $nvme >$pciback/do_flr")"
	same "MSI-X control" 0 "$((0x$(config $nvme CAP_MSIX+2.w) & 0xc000))"
	setpci -s $nvme COMMAND=0
	same "resets at the return of what somebody changed" 1 "$(resets give_back $nvme)"
}

none() {
	seize $unresettable
	same "reset" none "$(cat $devices/$unresettable/pciback/reset)"
	log | grep -q "$unresettable: no reset method" || die "the log does not say so"
	! echo $unresettable >$pciback/do_flr 2>/dev/null || die "do_flr says that it did"
	give_back $unresettable
}

master() { # SBDF
	echo $((0x$(config $1 COMMAND) & 4))
}

# Nothing stops the DMA of a function without a reset but its bus mastering.
no_dma_after() {
	setpci -s $unresettable COMMAND=7
	seize $unresettable
	same "bus mastering while no guest has it" 0 "$(master $unresettable)"
	setpci -s $unresettable COMMAND=7
	give_back $unresettable
	same "bus mastering in dom0" 0 "$(master $unresettable)"
}

# The next calls of the driver fail, one after the other, up to that of the reset.
failed_seizure() {
	setpci -s $nvme COMMAND=6
	echo $nvme >$pciback/new_slot
	i=0
	until log | grep -q "$nvme: not seized: resetting it failed"; do
		i=$((i + 1))
		[ $i -lt 40 ] || die "the reset never failed"
		echo $i >/sys/module/xen_pciback/parameters/fault
		if echo $nvme >$pciback/bind 2>/dev/null; then echo $nvme >$pciback/unbind; fi
		echo 0 >/sys/module/xen_pciback/parameters/fault
	done
	same "memory decoding and bus mastering" 0 "$((0x$(config $nvme COMMAND) & 6))"
	echo $nvme >$pciback/bind || die "it cannot be seized again"
	give_back $nvme
}

# Meanwhile the list has only the method that is used.
methods_stay() {
	methods=$devices/$behind/reset_method
	seize $behind
	before=$(cat $methods)
	sh -c "for i in 1 2 3; do echo $behind >$pciback/do_flr; done" &
	while [ "$(cat $methods)" = "$before" ]; do
		kill -0 $! || die "they were '$before' all the time"
	done
	echo pm >$methods
	wait $!
	same "reset methods" pm "$(cat $methods)"
	echo default >$methods
	give_back $behind
}

# While its port forwards nothing, a function does not answer. Linux waits 65 s for it after a reset by the bridge,
# if Xen lets it see that (from 4.21 on). It must not be waited for twice.
silently() { # COMMAND [ARG...]
	buses=$(config $port PRIMARY_BUS.l)
	setpci -s $port PRIMARY_BUS.l=0
	same "vendor" ffff "$(config $behind VENDOR_ID)"
	began=$(cut -d. -f1 /proc/uptime)
	"$@"
	status=$?
	took=$(($(cut -d. -f1 /proc/uptime) - began))
	setpci -s $port PRIMARY_BUS.l=$buses
	[ $took -lt 100 ] || die "that took $took s"
	return $status
}

flr_fails() {
	! echo $behind >$pciback/do_flr || die "do_flr says that it did"
	wait_for 100 without_driver $behind
}

silent_reset() {
	for method in default bus; do
		echo $method >$devices/$behind/reset_method
		seize $behind
		silently flr_fails
		log | grep "$behind: withdrawn: reset failed" || die "the log does not say so"
	done
	# That by the bridge has reached it, but nothing could restore its BARs.
	echo 1 >$devices/$behind/remove
	echo 1 >/sys/bus/pci/rescan
	seize $behind
	keeps_bars $behind sh -c "echo 1 >$devices/$behind/reset"
	give_back $behind
}

silent_return() {
	seize $behind
	silently sh -c "echo $behind >$pciback/unbind"
	log | grep "$behind: left stopped" || die "the log does not say so"
	echo $behind >$pciback/bind && give_back $behind
}

in_vm || skip_all "needs our own machine"
behind=0000:01:00.0
port=0000:00:08.0
for sbdf in $(spare_functions has_flr_and_msix); do nvme=$sbdf; done
unresettable=0000:00:06.0
[ -e $devices/$behind ] && [ "$nvme" ] && [ -e /sys/module/xen_pciback/parameters/tell ] || skip_all "see tests.toml"

plan 14
seize $nvme
check "do_flr loses no BAR" keeps_bars $nvme flr
check "nor does a reset by sysfs" keeps_bars $nvme sysfs
check "nor one out of D3hot" keeps_bars $nvme sleeping
give_back $nvme
seize $behind
check "nor one of the bus" keeps_bars $behind bridge
give_back $behind
check "nor one by power management, which ends its last owner's PMEs, too" power
check "nor one of the link after a fatal error" reset_of_link
check "nor that if Xen is not told" without_a_word
check "one that does not answer is not offered any more, and can be had again" silent_reset
check "nor is it waited for when it is returned" silent_return
check "what was reset and not touched since is not reset again" only_if_touched
check "reset methods that are chosen during a reset stay" methods_stay
check "a function without a reset says so" none
check "its DMA does not go on when it is returned" no_dma_after
check "a function whose first reset fails is left stopped" failed_seizure
finish
