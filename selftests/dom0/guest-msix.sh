#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# A guest that owns a device of each kind. Would catch: MSI-X that Xen refuses
# to map for the guest (ENODATA), the held entry being taken from the guest, and
# a loss of MSI, INTx or DMA on the way.

. "${0%/*}/ktap.sh"
. "${0%/*}/guests"

igb=0000:00:06.0 mac_igb=52:54:00:00:00:03 net_igb=10.0.4
nvme2=0000:00:07.0	# two entries, both used by its driver
nvme1=0000:00:0a.0	# a single entry
edu=0000:00:09.0
# libxl gives the device model ten seconds for all devices of a guest.
first="$nic1 $igb $edu" second="$nvme2 $nvme1"
all="$first $second"
wants $all

# What prepare() of test.py wrote to the disks.
pattern=$(seq 100000 | sha256sum) length=$(seq 100000 | wc -c)

held() {
	for function in $nic1 $igb $nvme2 $nvme1; do
		same "$function" held "$(cat $devices/$function/xen/msix)"
	done
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

# The queues of its driver: each MSI-X entry has brought an interrupt.
interrupts() { # SERIAL ENTRIES
	tell g <<-END
		$find_disk
		disk=\$(disk $1)
		grep -E '$msix.* '\${disk%n1}q /proc/interrupts | tee /run/queues
		fired=\$(awk '\$2 > 0' /run/queues | wc -l)
		[ \$fired = $2 ] || { echo "\$fired of $2 entries fired"; exit 1; }
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


plan 19
before=$(xen_counts)
check "the devices are made assignable" assignable $all
check "their MSI-X tables are held" held

check "a guest that owns NICs and edu comes up" start_guest g "" $first
check "e1000e: the guest pings by MSI-X" can_ping g $mac1 $net1 "$msix"
echo modprobe igb | tell g >/dev/null
check "igb: the guest pings by MSI-X" can_ping g $mac_igb $net_igb "$msix"
echo insmod /modules/edu-test.ko | tell g >/dev/null
check "edu: INTx" edu_says INTx
check "edu: MSI" edu_says MSI
check "edu: DMA" edu_says DMA
check "the device model mapped every interrupt" no_mapping_error g
check "the guest is destroyed" destroyed g

# Without interrupts the driver looks after these seconds whether it is done.
check "a guest that owns disks comes up" start_guest g "nvme_core.admin_timeout=2 nvme_core.io_timeout=2" $second
echo modprobe nvme | tell g >/dev/null
check "NVMe with two MSI-X entries: the guest reads what the host wrote" reads two-entries
check "NVMe with two MSI-X entries: both interrupt, the held one included" interrupts two-entries 2
check "NVMe with a single MSI-X entry: the guest reads what the host wrote" reads one-entry
check "NVMe with a single MSI-X entry: it interrupts" interrupts one-entry 1
check "the device model mapped these, too" no_mapping_error g
check "the second guest is destroyed" destroyed g

check "the devices are returned, and the NIC works in dom0" dom0_has_nic
check "nothing is left behind in Xen" same "interrupts and mappings" "$before" "$(xen_counts)"
finish
