#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Loading and unloading xen-pcidev, beside xen-pciback and without. Would catch:
# a module that goes away under a caller or while Xen still has a mapping of its
# own, a leak or a crash on either way, and the GSI look-up of privcmd staying
# with, or being cleared by, xen-pciback.

. "${0%/*}/ktap.sh"

unload_pcidev() {
	rmmod xen-pcidev
}

load_pciback() {
	is_loaded xen_pciback || modprobe xen-pciback
}

unload_pciback() {
	! is_loaded xen_pciback || rmmod xen-pciback
}

cycles() { # COUNT
	i=0
	while [ $i -lt $1 ]; do
		load_pcidev || die "not loaded the time $i"
		[ -e /dev/xen/pcidev ] || die "no device node the time $i"
		unload_pcidev || die "not unloaded the time $i"
		i=$((i + 1))
	done
	! ls -d $devices/*/xen 2>/dev/null || die "files are left in sysfs"
	[ ! -e /dev/xen/pcidev ] || die "the device node is left"
}

with_pciback() {
	load_pciback
	cycles ${LOAD_CYCLES:-20}
}

without_pciback() {
	unload_pciback
	cycles ${LOAD_CYCLES:-20}
}

not_while_open() {
	load_pcidev
	exec 9</dev/xen/pcidev
	unload_pcidev && die "it was unloaded under an open file"
	ask list >/dev/null || die "it does not answer after that"
	exec 9<&-
	unload_pcidev
}

not_while_held() {
	load_pcidev
	load_pciback
	seize $spare
	same "$spare, msix" held "$(cat $devices/$spare/xen/msix)"
	unload_pcidev && die "it was unloaded with a table held"
	give_back $spare
	same "$spare, msix" free "$(cat $devices/$spare/xen/msix)"
	unload_pcidev
}

parameters() {
	load_pcidev
	same "default of unmask" Y "$(cat /sys/module/xen_pcidev/parameters/unmask)"
	same "default of lend" Y "$(cat /sys/module/xen_pcidev/parameters/lend)"
	same "default of hold" Y "$(cat /sys/module/xen_pcidev/parameters/hold)"
	same "default of primary" Y "$(cat /sys/module/xen_pcidev/parameters/primary)"
	same "default of vbt" Y "$(cat /sys/module/xen_pcidev/parameters/vbt)"
	same "default of guard" Y "$(cat /sys/module/xen_pcidev/parameters/guard)"
	load_pciback
	# The stock driver has no such parameter.
	[ ! -e $pciback/do_flr ] || same "default of pv" Y "$(cat /sys/module/xen_pciback/parameters/pv)"
	unload_pciback
	unload_pcidev
	load_pcidev unmask=0 hold=0
	same unmask N "$(cat /sys/module/xen_pcidev/parameters/unmask)"
	same hold N "$(cat /sys/module/xen_pcidev/parameters/hold)"
	unload_pcidev
	load_pcidev hold=maybe 2>/dev/null && die "hold=maybe was taken"
	return 0
}

hold_is_off() {
	load_pcidev hold=0
	load_pciback
	seize $spare
	same "$spare, msix" free "$(cat $devices/$spare/xen/msix)"
	gsi=$(cat $devices/$spare/xen/gsi)
	# Elsewhere a driver of dom0 may share the line.
	! in_vm || ! dom0_has_line $gsi || die "GSI $gsi is not lent"
	unload_pcidev || die "it cannot be unloaded though it holds nothing"
	dom0_has_line $gsi || die "GSI $gsi stays lent"
	give_back $spare
}

# Nobody has seized it: the stock driver does not know it.
privcmd_answers() { # WHEN
	case $(ask privcmd $spare) in
	"$spare "[0-9]*) ;;
	*) die "$1: $(ask privcmd $spare)" ;;
	esac
}

keeps_privcmd() {
	unload_pciback
	load_pcidev
	privcmd_answers "alone"
	load_pciback
	privcmd_answers "after xen-pciback was loaded"
	unload_pciback
	privcmd_answers "after xen-pciback was unloaded"
	load_pciback
	unload_pcidev
	load_pcidev
	privcmd_answers "loaded after xen-pciback"
	unload_pcidev
}

nobody_answers() {
	unload_pciback
	same "with no module" "$spare EOPNOTSUPP" "$(ask privcmd $spare)"
}

takes_up_the_seized() {
	load_pciback
	seize $spare
	load_pcidev
	case $(ask info $spare) in
	*" irq="[0-9]*" holder=2 "*" msix=1") ;;
	*) die "$(ask info $spare)" ;;
	esac
	give_back $spare
	unload_pcidev
}

[ -e /dev/xen/privcmd ] || skip_all "not a dom0"
[ -z "$(ls $pciback 2>/dev/null | grep :)" ] || skip_all "xen-pciback has devices, for guests"
grep -q '^xen_pciback ' /proc/modules || modprobe xen-pciback 2>/dev/null || skip_all "xen-pciback is not a module here"
was_loaded=$(is_loaded xen_pcidev && echo yes)
is_loaded xen_pcidev || load_pcidev 2>/dev/null || skip_all "there is no xen-pcidev to load"
unload_pcidev || skip_all "xen-pcidev is in use"
spare=$(spare_functions routed has_msix | tail -n 1)

plan 9
check "it loads and unloads many times beside xen-pciback" with_pciback
check "it loads and unloads many times alone" without_pciback
check "it stays while its device node is open" not_while_open
check "its parameters are visible, and wrong ones refused" parameters
if [ "$spare" ]; then
	check "it stays while it holds an MSI-X table" not_while_held
	check "it holds nothing with hold=0, and goes with a GSI lent" hold_is_off
	check "it answers at privcmd whatever xen-pciback does" keeps_privcmd
	check "it takes up what was seized before it was loaded" takes_up_the_seized
	check "without either module privcmd has no answer" nobody_answers
else
	for point in "it stays while it holds an MSI-X table" "it holds nothing with hold=0, and goes with a GSI lent" \
		     "it answers at privcmd whatever xen-pciback does" \
		     "it takes up what was seized before it was loaded" \
		     "without either module privcmd has no answer"; do
		skip "$point" "no unused function with MSI-X and a pin"
	done
fi
load_pciback
[ -z "$was_loaded" ] || load_pcidev
finish
