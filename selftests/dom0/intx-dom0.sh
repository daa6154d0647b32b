#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# INTx in dom0 after a function was seized and returned. Would catch: a line that
# was set up for a guest before dom0 unmasked it (Xen then never gives it to
# dom0), or stays with guests, and disturbing those who share it.
#
# Wants two pairs of e1000e that share a line each, and 10.0.2.2 behind each one:
# our own machine, booted with pci=nomsi (tests.toml).

. "${0%/*}/ktap.sh"

# On q35, devices on the root bus whose numbers are the same modulo 4 share.
unused=0000:00:04.0
unused_neighbour=0000:00:0c.0
used=0000:00:05.0
used_neighbour=0000:00:0d.0

start() { # SBDF: has dom0 use it
	echo $1 >$drivers/e1000e/bind || die "$1: e1000e does not take it"
	net=$(ls $devices/$1/net)
	ip addr add 10.0.2.15/24 dev $net
	ip link set $net up
	i=0
	while [ $i -lt 20 ] && [ "$(cat /sys/class/net/$net/carrier)" != 1 ]; do
		sleep 0.3
		i=$((i + 1))
	done
}

stop() { # SBDF
	echo $1 >$drivers/e1000e/unbind
}

interrupts() { # SBDF: how many its handler's line had
	irq=$(cat $devices/$1/irq)
	awk -v irq="$irq:" '$1 == irq { for (i = 2; i < NF && $i ~ /^[0-9]+$/; i++) n += $i; print n }' /proc/interrupts
}

answered() { # SBDF: three pings, and interrupts for them
	before=$(interrupts $1)
	ping -c 3 -i 0.3 -W 2 -I "$(ls $devices/$1/net)" 10.0.2.2 >$tmp/ping 2>&1
	after=$(interrupts $1)
	grep -q '3 received' $tmp/ping ||
		die "$1: $(grep received $tmp/ping), $((after - before)) interrupts, GSI $(cat $devices/$1/xen/gsi 2>&1)"
	[ $after -gt $before ] || die "$1: pings but no interrupts"
}

works() { # SBDF
	start $1
	answered $1
	stop $1
}

after_return() {
	seize $unused
	give_back $unused
	works $unused
}

# Seized and returned again, now that dom0 did use it.
after_use() {
	seize $unused
	give_back $unused
	works $unused
}

undisturbed() {
	start $used
	answered $used
	for step in seize give_back; do
		$step $used_neighbour
		answered $used
	done
	works_beside
	stop $used
}

# Xen gives the line of a function that is seized to guests alone.
begins_beside() {
	seize $used_neighbour
	works $used
	works $used
	give_back $used_neighbour
}

# Both in use, on one line; the addresses would clash.
works_beside() {
	ip addr flush dev $(ls $devices/$used/net)
	works $used_neighbour
}

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

{ in_vm && grep -qw pci=nomsi /proc/cmdline; } || skip_all "needs our own machine, booted with pci=nomsi"
for function in $unused $unused_neighbour $used $used_neighbour; do
	[ -e $devices/$function ] || skip_all "$function is not there: see tests.toml"
	[ -z "$(driver_of $function)" ] || skip_all "$function has a driver: boot again"
done
echo 0 >/sys/bus/pci/drivers_autoprobe
modprobe e1000e

plan 6
if [ -e $devices/$unused/xen/gsi ]; then
	check "the pairs share a line each" sh -c "cd $devices &&
		cmp $unused/xen/gsi $unused_neighbour/xen/gsi && cmp $used/xen/gsi $used_neighbour/xen/gsi"
else
	skip "the pairs share a line each" "xen-pcidev is not loaded"
fi
check "a NIC that dom0 never used has interrupts in dom0 after it was returned" after_return
check "so has another NIC on its line" works $unused_neighbour
check "so has the NIC when it is returned a second time" after_use
check "a NIC in use keeps its interrupts while another on its line is seized and returned" undisturbed
check "one that is used while another on its line is seized has interrupts, too" begins_beside
# For the test of look-ups: functions that use INTx.
for function in $unused $used; do
	(start $function) >/dev/null 2>&1
done
finish
