#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Guests with an Intel GPU, one after the other. Would catch: one that hangs, one that sees what
# the last one wrote, and something that is used up.
#
# IGD_GUESTS=N: how many, 20 by default.

. "${0%/*}/ktap.sh"
. "${0%/*}/toolstack"
. "${0%/*}/guests"

gpu=0000:00:02.0
wants $gpu
guests=${IGD_GUESTS:-20}

# Says where its OpRegion is and how that begins, and writes to it.
guest() { # NAME
	guest-run --name $1 --pci $gpu --cmdline iomem=relaxed --option 'gfx_passthru = "igd"' "$(
		in_guest <<-'END'
			at=$(hexdump -s 252 -n 4 -e '1/4 "0x%08x"' /sys/bus/pci/devices/0000:00:02.0/config)
			echo $at $(busybox devmem $at 64)
			busybox devmem $at 64 0
		END
	)"
}

one_after_the_other() {
	assignable $gpu
	for i in $(seq $guests); do
		# "IntelGra"
		same "guest $i" "0xfdffc000 0x6172476C65746E49" "$(guest guest$i)"
		wait_for 20 is $gpu clean
	done
	returned $gpu
}

plan 2
counts=$(xen_counts)
check "$guests guests find the OpRegion of the host, each a fresh one" one_after_the_other
check "nothing of them is left in Xen" same "counts" "$counts" "$(xen_counts)"
finish
