#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Everything that can fail, failing, one at a time: see faults.py. Each failure is
# an error that is told, and nothing else has changed: the function can be bound,
# handed over and returned as before, its registers are as they were, and Xen has
# no more than before. Would catch: an error path that leaves something behind,
# gives something up twice, or goes on as if nothing had happened.
#
# FAULTS_EACH=1 lets all of them fail, which takes long; else it is each N-th.
# FAULTS_CARD=yes: with the functions of a card that are reset together (animals).
# FAULTS_ONLY=expression: walks with such names, as "memory|xen_pcidev Seize".
# FAULTS_VERBOSE=2: with the stack of each failure, which is a fault for "finish".

. "${0%/*}/ktap.sh"
. "${0%/*}/kmemleak"
. "${0%/*}/animals"

each=${FAULTS_EACH:-23}
some="xen_pcidev (LoadPcidev|Seize|GiveBack)|xen_pciback (Hide|Seize|GiveBack|Reset|HandOver|Return)"

# Programs take long to start here, and a walk has hundreds of steps.
faults_py() { # [FUNCTION...]
	faults=$faults python3 -BS "${0%/*}/faults.py" --each $each --only "${FAULTS_ONLY-$some}" "$@"
}

interrupts() {
	dump i "IRQ information" | grep -c ' IRQ:.* d0:'
	dump M "MSI information" | grep -c '^(XEN) *MSI'
}

same_interrupts() {
	same "interrupts of dom0, and MSIs" "$before" "$(interrupts | tr '\n' ' ')"
}

in_vm && [ -e $pciback/do_flr ] && is_loaded xen_pcidev || skip_all "needs our own machine and modules"
if [ "${FAULTS_CARD-}" ]; then
	set -- $(find_pair)
	[ $# = 2 ] || skip_all "no such card"
	a=$1 b=$2
else
	set -- $(spare_functions routed has_flr_and_msix | head -n 1) $(spare_functions routed has_msix)
	[ $# -ge 3 ] || skip_all "needs two unused functions with MSI-X, one with FLR"
	a=$1
	for b; do [ $b = $a ] || break; done
fi

count=$(faults_py)
plan $((count + 2))
# What is made at the first time for good: the unmasked lines.
for function in $a $b; do (seize $function && give_back $function); done
before=$(interrupts | tr '\n' ' ')
faults_py $a $b
failures=$?
points=$count
check "Xen has no more interrupts than before" same_interrupts
if [ -e $kmemleak ]; then
	check "no memory is left behind" no_leak
else
	skip "no memory is left behind" "no kmemleak"
fi
finish
