#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# What Xen has after functions were seized and returned many times. Would catch:
# a mapping or an interrupt that is left in Xen each time, until there are none.

. "${0%/*}/ktap.sh"

# Interrupts that Xen knows, and those bound to dom0; MSIs; devices of dom0.
count() {
	dump i "IRQ information" | grep -c ' IRQ: '
	dump i "IRQ information" | grep -c ' IRQ:.* d0:'
	dump M "MSI information" | grep -c '^(XEN) *MSI'
	dump Q "PCI devices" | grep -c ' - d0 '
}

steady() { # CYCLES FUNCTION
	# What is made at the first time for good: the unmasked line.
	seize $2
	give_back $2
	before=$(count | tr '\n' ' ')
	i=0
	while [ $i -lt $1 ]; do
		seize $2
		give_back $2
		i=$((i + 1))
	done
	same "interrupts, those of dom0, MSIs, devices of dom0 with $2" "$before" "$(count | tr '\n' ' ')"
	echo "$before" | grep -q '^[1-9][0-9]* [1-9][0-9]* [0-9]* [1-9]' || die "cannot read Xen's log: $before"
}

each_held() {
	for function in $all_with_msix; do
		seize $function
		same "$function, msix" held "$(cat $devices/$function/xen/msix)"
	done
	for function in $all_with_msix; do
		give_back $function
		same "$function, msix" free "$(cat $devices/$function/xen/msix)"
	done
}

without_msix() { # SBDF
	! has_msix $1
}

command -v xl >/dev/null && [ -e $pciback ] && is_loaded xen_pcidev || skip_all "needs xl, xen-pciback and xen-pcidev"
all_with_msix=$(spare_functions routed has_msix)
with_msix=$(echo "$all_with_msix" | head -n 1)
without_msix=$(spare_functions routed without_msix | tail -n 1)

plan 3
if [ "$with_msix" ]; then
	check "ten seizures of a function with MSI-X leave nothing in Xen" steady 10 $with_msix
	check "the tables of all functions with MSI-X are held at the same time" each_held
else
	skip "ten seizures of a function with MSI-X leave nothing in Xen" "no unused function with MSI-X"
	skip "the tables of all functions with MSI-X are held at the same time" "no unused function with MSI-X"
fi
if [ "$without_msix" ]; then
	check "ten seizures of a function without MSI-X leave nothing in Xen" steady 10 $without_msix
else
	skip "ten seizures of a function without MSI-X leave nothing in Xen" "no unused function without"
fi
finish
