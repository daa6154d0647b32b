#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# What a function goes through with a guest: how often it is reset from
# assignable-add to assignable-remove, and how long `xl create` takes with it. The
# guest need not boot for that.

. "${0%/*}/guests"

tracing=/sys/kernel/tracing
# All that the PCI core has to reset one function or its link.
ways=$(grep -wE 'pcie_flr|pci_af_flr|pci_pm_reset|pci_dev_acpi_reset|pci_bridge_secondary_bus_reset' \
	$tracing/available_filter_functions | cut -d ' ' -f 1)

life() {
	assignable $function
	began=$(now)
	create life $function
	since $began >$tmp/seconds
	xl destroy life || die "the guest is not destroyed"
	free $function
	returned $function
}

measure() { # DRIVER
	swap_to $1
	echo >$tracing/trace
	(life) >$tmp/said 2>&1 || failed $1 "a life went wrong"
	grep -v '^#' $tracing/trace >$tmp/resets
	sample resets $1 - $(grep -c . $tmp/resets)
	sample guest-create $1 - $(cat $tmp/seconds)
	awk '{ print $1, $(NF - 1) }' $tmp/resets | paste -sd , | remark $1
}

find_functions 1 for_both with_flr
function=$functions
echo $ways >$tracing/set_ftrace_filter
echo function >$tracing/current_tracer
for round in $(seq $(quick 2 4)); do
	for each in $(drivers); do measure $each; done
done
echo nop >$tracing/current_tracer
