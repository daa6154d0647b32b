#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# What dom0 itself uses disks for. Would catch: a controller that pcidev calls free, or gives to a guest, while dom0
# has its file systems or its swap on it.

. "${0%/*}/ktap.sh"

nvme=0000:00:07.0 usb=0000:00:08.0

doctor() { # SBDF
	pcidev doctor $1 | tr -s ' \n' ' '
}

used() { # SBDF FOR-WHAT
	case $(doctor $1) in
	*"warning in-use: dom0 uses it for $2 -> "*) ;;
	*) die "not used for $2: $(doctor $1)" ;;
	esac
	! said=$(pcidev try $1 --kernel /boot/vmlinuz 2>&1) || die "it was tried"
	same "refusal" "pcidev: dom0 uses $1 for $2: --force takes it all the same" "$said"
	[ "$(driver_of $1)" != pciback ] || die "it was taken"
}

unused() { # SBDF
	case $(doctor $1) in *in-use*) die "$(doctor $1)" ;; esac
}

mounted() { # SBDF DISK
	unused $1
	busybox mke2fs $2 >/dev/null || die "no file system"
	mkdir -p /run/disk
	mount -t ext2 $2 /run/disk || die "cannot be mounted"
	used $1 "the file system at /run/disk"
	umount /run/disk
	unused $1
}

swapped() { # SBDF DISK
	mkswap $2 && swapon $2 || die "no swap"
	used $1 swap
	swapoff $2
	unused $1
}

# A linear mapping of 512 KiB, as LVM makes it; there is no tool for it here.
map='
import fcntl, struct, sys
disk, create = sys.argv[1], sys.argv[2] == "create"
def order(number, data=b""):
    header = struct.pack("=10IQ128s129s7x", 4, 0, 0, 312 + len(data), 312, 1, 0, 0, 0, 0, 0, b"volume", b"")
    fcntl.ioctl(control, 0xc138fd00 | number, bytearray(header + data))
control = open("/dev/mapper/control", "r+b", buffering=0)
if create:
    order(3)
    parameters = f"{disk} 0".encode().ljust(32, b"\0")
    order(9, struct.pack("=QQiI16s", 0, 1024, 0, 40 + len(parameters), b"linear") + parameters)
    order(6)
else:
    order(4)'

volume() {
	modprobe dm-mod
	python3 -IS -c "$map" $nvme_disk create || die "no mapping"
	wait_for 5 test -e /dev/dm-0
	mounted $nvme /dev/dm-0
	swapped $nvme /dev/dm-0
	python3 -IS -c "$map" $nvme_disk remove
	unused $nvme
}

in_vm && command -v pcidev >/dev/null && [ -e $devices/$usb ] || skip_all "see tests.toml"
modprobe -a nvme xhci-pci usb-storage sd_mod ext4
nvme_disk=/dev/nvme0n1 usb_disk=/dev/sda
(wait_for 30 test -e $nvme_disk -a -e $usb_disk)

plan 4
check "a file system" mounted $nvme $nvme_disk
check "swap" swapped $nvme $nvme_disk
check "a file system and swap on a volume of device mapper" volume
check "a file system on a USB disk" mounted $usb $usb_disk
finish
