#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# The #[kunit_tests] of the modules, run in the kernel. Would catch: pure logic
# that is right on the build machine only, such as an overflow or a panic in
# what the kernel's crates make of it.

. "${0%/*}/ktap.sh"

suites="xen_sbdf xen_header xen_msix_table xen_hiding xen_reset_result xen_opregion xen_igd_rom
	xen_pci_backend xen_pcidev_assignments xen_pcidev_index xen_pcidev_info
	xen_pciback_handshake xen_pciback_identity xen_pciback_interrupts xen_pciback_life
	xen_pciback_operation xen_pciback_quirks xen_pciback_slots xen_pciback_space xen_pciback_topology"
kunit=/sys/kernel/debug/kunit

# Not by the kernel itself, when a module is loaded: that would be at each load.
results() {
	for suite in $suites; do
		echo 1 >$kunit/$suite/run && cat $kunit/$suite/results
	done
}

all_there() {
	for suite in $suites; do
		[ -e $kunit/$suite ] || die "no suite $suite in $kunit"
	done
	others=$(ls $kunit | grep ^xen | grep -vxF "$(printf '%s\n' $suites)")
	[ -z "$others" ] || die "suites that this test does not know: $others"
}

passed() { # VERDICT WORD...
	[ "$1" = ok ] || { printf '%s\n' "$results"; return 1; }
}

[ -d $kunit ] || skip_all "a kernel without KUnit"
is_loaded xen_pcidev && is_loaded xen_pciback || skip_all "the modules are not loaded"

results=$(results)
cases=$(printf '%s\n' "$results" |
	sed -nE 's/^    # Subtest: (.*)/= \1/p; s/^    (not )?ok [0-9]+ ([^ ]*).*/\1ok \2/p' |
	awk '$1 == "=" { suite = $2; next } { print ($1 == "ok" ? "ok" : "bad"), suite ": " $NF }')
number=$(printf '%s\n' "$cases" | grep -c .)

plan $((number + 1))
check "every suite is there" all_there
while read -r verdict name; do
	check "$name" passed $verdict
done <<END
$cases
END
tried $number unit tests in the kernel
finish
