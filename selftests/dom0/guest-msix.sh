#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# A guest that owns a device of each kind. Would catch: MSI-X that Xen refuses
# to map for the guest (ENODATA), a guest that uses the held entry, which brings one
# interrupt at most, and a loss of MSI, INTx or DMA on the way.

. "${0%/*}/ktap.sh"
. "${0%/*}/guests"

igb=0000:00:06.0 mac_igb=52:54:00:00:00:03 net_igb=10.0.4
nvme2=0000:00:07.0	# two entries, all of which its driver would use
nvme1=0000:00:0a.0	# a single entry
edu=0000:00:09.0
# libxl gives the device model ten seconds for all devices of a guest.
first="$nic1 $igb $edu" second="$nvme2 $nvme1"
all="$first $second"
wants $all

pattern=$(written | sha256sum) length=$(written | wc -c)

held() {
	for function in $nic1 $igb $nvme2 $nvme1; do
		same "$function" held "$(cat $devices/$function/xen/msix)"
	done
}

# What a device model finds: the size of configuration space, and MSI-X entries.
finds() { # ENTRIES-OF-EACH
	found=
	for function in $nic1 $igb $nvme2 $nvme1; do
		control=$(setpci -s $function CAP_MSIX+2.w 2>/dev/null)
		[ ! "$control" ] || control=$(((0x$control & 0x7ff) + 1))
		found="$found $(stat -c %s $devices/$function/config):${control:-0}"
	done
	same "bytes and entries" "$1" "${found# }"
}

# The disk with this serial number, once it is there.
find_disk='disk() {
	for i in $(seq 60); do
		disk=$(grep -ls "^$1" /sys/block/nvme*/device/serial | cut -d / -f 4)
		[ -z "$disk" ] || break
		usleep 500000
	done
	echo ${disk:-none}
}'

reads() { # SERIAL
	tell g <<-END
		$find_disk
		disk=\$(disk $1)
		found=\$(head -c $length /dev/\$disk | sha256sum)
		[ "\$found" = "$pattern" ] || { echo "\$disk: \$found"; dmesg | tail; exit 1; }
	END
}

# All queues of its driver have one line, and none has to be polled.
interrupts() { # SERIAL KIND
	tell g <<-END
		$find_disk
		disk=\$(disk $1)
		grep -E '($2).* '\${disk%n1}q /proc/interrupts | tee /run/queues
		[ \$(awk '\$2 > 5' /run/queues | wc -l) = 1 ] || { echo "not one that goes on"; exit 1; }
		! dmesg | grep "\${disk%n1}:.*polled"
	END
}

edu_says() { # WHAT
	echo "dmesg | grep 'edu-test.*$1: works' || { dmesg | grep edu-test; exit 1; }" | tell g
}

dom0_has_nic() {
	returned $all
	modprobe e1000e
	echo $nic1 >$drivers/e1000e/bind
	. "${0%/*}/in-guest"
	pings $mac1 $net1 "$msix"
	status=$?
	echo $nic1 >$drivers/e1000e/unbind
	return $status
}


plan 22
before=$(xen_counts)
check "the devices are made assignable" assignable $all
check "their MSI-X tables are held" held
check "device models find the entries that guests can use" finds "4096:4 4096:9 4096:1 4096:0"

check "a guest that owns NICs and edu comes up" start_guest g "" $first
check "e1000e: the guest pings by MSI-X" can_ping g $mac1 $net1 "$msix"
echo modprobe igb | tell g >/dev/null
check "igb: the guest pings by MSI-X" can_ping g $mac_igb $net_igb "$msix"
check "edu: its line does not wait for dom0" has_fast_lines g
check "edu: INTx" edu_says INTx
check "edu: MSI" edu_says MSI
check "edu: DMA" edu_says DMA
check "the device model mapped every interrupt" no_mapping_error g
check "the guest is destroyed" destroyed g

# Without interrupts the driver looks after these seconds whether it is done.
check "a guest that owns disks comes up" start_guest g "nvme_core.admin_timeout=2 nvme_core.io_timeout=2" $second
echo modprobe nvme | tell g >/dev/null
check "NVMe with two MSI-X entries: the guest reads what the host wrote" reads two-entries
check "NVMe with two MSI-X entries: the other than the held one interrupts" interrupts two-entries "$msix"
check "NVMe with a single MSI-X entry: the guest reads what the host wrote" reads one-entry
check "NVMe with a single MSI-X entry: its line interrupts" interrupts one-entry "$intx"
check "the device model mapped these, too" no_mapping_error g
check "the second guest is destroyed" destroyed g

check "the devices are returned, and the NIC works in dom0" dom0_has_nic
check "device models find all entries again" finds "4096:5 4096:10 4096:2 4096:1"
check "nothing is left behind in Xen" same "interrupts and mappings" "$before" "$(xen_counts)"
finish
