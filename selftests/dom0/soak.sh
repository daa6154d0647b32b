#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# A function is handed over again and again, and what dom0, Xen and XenStore have
# is counted after the first, the tenth and the last time. Would catch: anything
# that each hand-over leaves behind, and a reset that is left out.
#
# SOAK_ROUNDS: how often, without a guest's boot; see handover.c.
# SOAK_GUESTS: how often with a guest and its device model; 0, or more than ten.

. "${0%/*}/ktap.sh"
. "${0%/*}/guests"
. "${0%/*}/soak-counts"

rounds=${SOAK_ROUNDS:-20}
guests=${SOAK_GUESTS:-0}
# Where this register of an NVMe controller is, and that FLR clears it, is known.
register=0x14

xen_pages() { # free ones
	sed -n 's/.*; \([0-9]*\) pages/\1/p' $tmp/rounds | tail -n 1
}

# handover ends with its standard input: the pipe that descriptor 9 keeps open.
begin() { # [leak]
	rm -f $tmp/pipe
	mkfifo $tmp/pipe
	handover $function $register $1 <$tmp/pipe >$tmp/rounds 2>&1 &
	exec 9>$tmp/pipe
	done=0
}

go_on() { # TO
	echo $(($1 - done)) >&9
	wanted=$(($(grep -c 'rounds in' $tmp/rounds) + 1))
	while [ $(grep -c 'rounds in' $tmp/rounds) -lt $wanted ]; do
		kill -0 $! 2>/dev/null || die "round $done and some: $(tail -n 1 $tmp/rounds)"
		sleep 0.2
	done
	done=$1
}

# A hold, and interrupts of a driver of dom0.
leave() {
	seize $other
	modprobe nvme
	[ "$(driver_of $function)" = nvme ] || echo $function >$drivers/nvme/bind
}

soak() { # ROUNDS [leak]
	begin $2
	go_on 1
	counts >$tmp/first
	go_on 10
	counts >$tmp/tenth
	go_on $1
	[ "$2" != leak ] || leave
	counts >$tmp/last
	exec 9>&-
	wait $!
}

# Something of each kind was left: the proof that it would be seen. For grants it takes a guest.
seen_to_grow() {
	soak 12 leak || return
	give_back $other
	rmmod nvme
	! flat || die "nothing of it was seen"
	for what in $(cut -d' ' -f1 $tmp/table); do
		case $what in kB_of_slab | grants_in_use | open_files) continue ;; esac
		grep -q "^$what .*grows" $tmp/table || die "$what was left, and not seen"
	done
}

with_guests() {
	i=0
	while [ $i -lt $guests ]; do
		i=$((i + 1))
		xl pci-assignable-add $function || die "round $i: not assignable"
		guest-create $tmp/guest.cfg || die "round $i: no guest"
		xl destroy soak
		until grep -qx clean $devices/$function/pciback/state; do sleep 0.1; done
		xl pci-assignable-remove $function || die "round $i: not returned"
		[ $i != 1 ] || counts >$tmp/first
		[ $i != 10 ] || counts >$tmp/tenth
	done
	counts >$tmp/last
}

[ -e $pciback/do_flr ] && is_loaded xen_pcidev && command -v handover >/dev/null || skip_all "needs our own drivers, and handover"
set -- $(spare_functions routed has_flr_and_msix)
function=$1
set -- $(spare_functions routed has_msix)
[ "$1" != $function ] || shift
other=$1
[ "$function" ] && [ "$other" ] && grep -q ^0x0108 $devices/$function/class || skip_all "needs an unused NVMe controller, and another function with MSI-X"

plan $((guests ? 5 : 3))
check "$rounds hand-overs, with a reset in each" soak $rounds
tried $rounds "hand-overs: $(sed -n '$s/;.*//p' $tmp/rounds)"
check "nothing is more after the last than after the tenth" flat
sed 's/^/# /' $tmp/table
if [ $guests != 0 ]; then
	described soak $function >$tmp/guest.cfg
	check "$guests hand-overs to guests with a device model" with_guests
	tried $guests "hand-overs to guests"
	check "nothing is more after the last guest than after the tenth" flat
	sed 's/^/# /' $tmp/table
fi
check "what a hand-over leaves behind on purpose is seen" seen_to_grow
finish
