#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# A guest, HVM or PV, that owns a NIC and edu: how long from `xl create` to the first answer to
# a ping, and how many packets and interrupts a second there are then. e1000e's
# IntMode says by which kind of interrupts.

. "${0%/*}/guests"
wants $nic1 $edu

# For a guest: has the NIC up, with an interrupt for each packet, and waits for the
# first answer.
first_ping() { # KIND
	in_guest <<-END
		case $1 in intx) mode=0 ;; msix) mode=2 ;; esac
		! grep -qx PV /sys/hypervisor/guest_type || modprobe xen-pcifront || exit
		modprobe e1000e IntMode=\$mode InterruptThrottleRate=0
		name=\$(nic $mac1) || exit
		ip addr add $net1.15/24 dev \$name
		ip link set \$name up
		for i in \$(seq 200); do
			[ "\$(cat /sys/class/net/\$name/carrier)" != 1 ] || break
			busybox usleep 100000
		done
		has=intx
		! grep -E " \$name([-,]|\$)" /proc/interrupts | grep -qE '$msix' || has=msix
		[ \$has = $1 ] || { echo "the NIC has \$has"; exit 1; }
		for i in \$(seq 60); do
			! ping -c 1 -W 1 $net1.2 >/dev/null || exit 0
		done
		cat /proc/interrupts
		exit 1
	END
}

# Pings, each as soon as the one before is answered. The kernel log's clock has
# microseconds.
pings() { # NUMBER
	in_guest <<-END
		name=\$(nic $mac1) || exit
		count() {
			echo bench >/dev/kmsg
			dmesg | sed -n 's/^\\[ *\\([0-9.]*\\)\\] bench\$/\\1/p' | tail -n 1
			cat /sys/class/net/\$name/statistics/[rt]x_packets
			counted " \$name([-,]|\$)"
		}
		before=\$(count)
		ping -A -q -c $1 -s 1000 $net1.2 | grep -q ' 0% packet loss' || { echo "pings are lost"; exit 1; }
		echo \$before \$(count) | awk '{
			print (\$6 + \$7 - \$2 - \$3) / (\$5 - \$1), (\$8 - \$4) / (\$5 - \$1)
		}'
	END
}

# Interrupts, each raised when the one before was handled: by INTx, then by MSI.
storms() { # NUMBER
	in_guest <<-END
		dmesg -c >/dev/null
		insmod /modules/edu-test.ko storm=$1
		rmmod edu-test
		dmesg | sed -n 's/.*edu-test.*: \\([0-9]*\\) interrupts in \\([0-9]*\\) us/\\1 \\2/p' |
			awk '{ print \$1 * 1000000 / \$2 }' | paste -s
	END
}

# Runs a script in the guest, which says two numbers.
rates() { # WHAT SCRIPT
	guest-exec --timeout 60 work $2 >$tmp/said 2>&1 && read -r first second <$tmp/said && return
	echo "$1: failed:" | cat - $tmp/said | remark $who
	return 1
}

work() { # GUEST KIND
	script=$(pings 200)
	for i in $(seq $times); do
		rates pings $script || return
		sample $1-packets-$2 $who - $first
		sample $1-interrupts-$2 $who - $second
	done
	# Both kinds work with either driver: once for each is enough.
	[ $2 = intx ] || return
	script=$(storms 200)
	for i in $(seq $times); do
		rates storm $script || return
		sample $1-storm-intx $who - $first
		sample $1-storm-msi $who - $second
	done
}

measure() { # DRIVER GUEST KIND
	who=$1
	swap_to $who
	pv=
	[ $2 != pv-guest ] || pv=--pv
	if guest-run $pv --name work --keep --pci $nic1 --pci $edu $(first_ping $3) >$tmp/said 2>&1; then
		sample $2-ping-$3 $who - $(sed -n "s/.* to the script's end: \(.*\) s/\1/p" $tmp/said)
		work $2 $3
	else
		remark "$who, $2, first ping by $3" <$tmp/said
	fi
	# It may have died, as guests do now and then in the emulator.
	xl destroy work
	(free $nic1 && returned $nic1 $edu) >$tmp/said 2>&1 || failed $who "the functions are not returned"
}

times=$(quick 2 5)
for round in $(seq $(quick 1 3)); do
	for each in $(drivers); do
		measure $each guest intx
		# On a PVH dom0 the stock driver gives guests no MSI-X, and a PV guest stops the host.
		[ $each != stock ] || continue
		measure $each guest msix
		measure $each pv-guest intx
		measure $each pv-guest msix
	done
	echo "# guests at work: round $round"
done
