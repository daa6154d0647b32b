#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# A guest whose device model is in a stub domain that libxl makes, with a function. No
# QEMU is in there: a script asks Xen for what QEMU would ask for, and a program in
# dom0 answers libxl in its place. Would catch: a stub domain that finds no function, may
# map no interrupt of its guest, or one of somebody else, a function that is not free when it ends,
# and a guest that goes on when its function is unplugged, which crashes Xen 4.20.

. "${0%/*}/ktap.sh"
. "${0%/*}/guests"

other=0000:00:05.0
console=/var/log/xen/console/guest-s-dm.log
wants $nic1 $other

# What runs in the stub domain. It prints to its console.
init() {
	cat <<-END
		#!/bin/busybox sh
		export PATH=/bin
		/bin/busybox mount -t devtmpfs dev /dev
		/bin/busybox --install -s /bin
		mount -t proc proc /proc
		mount -t sysfs sys /sys
		exec </dev/null >/dev/hvc0 2>&1
		echo 1 >/proc/sys/kernel/printk
		modprobe xen-privcmd unrestricted=1
		modprobe xen-pcifront
		function=/sys/bus/pci/devices/0000:00:00.0
		while [ ! -e \$function/resource ]; do sleep 1; done
		# The BAR of its MSI-X table.
		table=\$(sed -n '4s/ .*//p' \$function/resource)
		echo "irq \$(cat \$function/irq)"
		# Xen gives the function to the guest later.
		until map-pirq target $nic1 0 \$table | grep -q mapped; do sleep 1; done
		for entry in 0 4 5; do
			echo "entry \$entry \$(map-pirq target $nic1 \$entry \$table)"
		done
		echo "no-INTx \$((0x\$(setpci -s 0:0.0 COMMAND) & 0x400))"
		echo "beside \$(setpci -s 0:0.0 CAP_MSIX+2.w=8000 && setpci -s 0:0.0 CAP_MSIX+2.w)"
		setpci -s 0:0.0 COMMAND=400:400
		echo "MSI-X \$(setpci -s 0:0.0 CAP_MSIX+2.w=8000 && setpci -s 0:0.0 CAP_MSIX+2.w)"
		echo "elsewhere \$(map-pirq target $other 0 \$table)"
		for domain in 0 $(xl domid g); do
			echo "domain \$domain \$(map-pirq \$domain $nic1 0 \$table)"
		done
		echo end
		sleep 1000000
	END
}

# Another guest, and what libxl starts.
prepare() {
	guest-run --pv --name g --keep "$(echo true | in_guest)" || die "no PV guest"
	library=$(ldd "$(command -v xl)" | awk '/libxenlight/ { print $3 }')
	cp "${0%/*}/stub-model" "$(grep -aoE '/[-a-z0-9_./]+/vchan-socket-proxy' $library)" || die "libxl starts something else"
	mkdir $tmp/root
	init >$tmp/root/init
	chmod +x $tmp/root/init
	(cat /boot/guest.cpio && cd $tmp/root && echo init | cpio -o -H newc) >$tmp/stub.cpio
	cat >$tmp/s.cfg <<-END
		type = "hvm"
		name = "s"
		memory = 64
		vga = "none"
		vnc = 0
		device_model_version = "qemu-xen"
		device_model_stubdomain_override = 1
		stubdomain_kernel = "/boot/vmlinuz"
		stubdomain_ramdisk = "$tmp/stub.cpio"
		stubdomain_cmdline = "$fast,print_s5_reset_status_mmio"
		stubdomain_memory = 256
		pci = ["$nic1"]
	END
}

# A guest whose device model is in a stub domain. It does not run itself.
start() {
	rm -f $console
	assignable $nic1
	echo $nic1 >$pciback/allow_interrupt_control
	xl create -p $tmp/s.cfg || die "$(tail -n 30 /var/log/xen/*-s*.log)"
	said end
}

said() { # LINE
	wait_for 60 grep -q "^$1" $console || die "it said: $(tail -n 40 $console)"
}

answer() { # QUESTION WANTED
	same "$1" "$2" "$(sed -n "s/^$1 \([^\r]*\).*/\1/p" $console)"
}

its_own() {
	answer "entry 0" mapped
	answer "entry 4" mapped
	answer "entry 5" "Invalid argument"
}

enables() {
	answer no-INTx 0
	answer beside 0003
	answer MSI-X 8003
	same "enabled in the function" 8000 "$(printf '%x' $((0x$(setpci -s $nic1 CAP_MSIX+2.w) & 0x8000)))"
}

nobody_elses() {
	answer "domain 0" "Operation not permitted"
	answer "domain $(xl domid g)" "Operation not permitted"
	answer elsewhere "No such device"
}

prepare_and_start() {
	prepare && start
}

told() { # DOMAIN
	log | grep "$nic1: unplugged while assigned to domain $1; domain stopped" || die "nothing of domain $1"
}

# libxl destroys both, before Xen is told.
unplugged() {
	start || return
	stub=$(xl domid s-dm) guest=$(xl domid s)
	# Only a toolstack can say whose it is.
	xenstore-ls -p /local/domain/$stub | grep "^target = \"$guest\".*(n0,r$stub)" || die "the stub domain says so"
	echo 1 >$devices/$nic1/remove &
	wait_for 20 eval "log | grep -q 'domain $stub is the stub domain of domain $guest'"
	until_gone s && until_gone s-dm && wait || return
	told $stub
	told $guest
	! log | grep "was not destroyed within" || die "Xen was told before"
	[ ! -e $devices/$nic1 ] || die "it is still there"
	echo 1 >/sys/bus/pci/rescan
	wait_for 10 test -e $devices/$nic1
	assignable $nic1
}

ends() {
	xl destroy s && until_gone s && until_gone s-dm && free $nic1
}

plan 7
check "a stub domain finds its guest's function" prepare_and_start
check "it may map interrupts of the function to its guest" its_own
check "with allow_interrupt_control it enables MSI-X itself, and not beside INTx" enables
check "it may map none to others, nor of other functions" nobody_elses
check "both end, and the function is free" ends
check "both are stopped when a function is unplugged, and Xen hears of that when they are gone" unplugged
xl destroy g
check "returned, it pings in dom0 by MSI-X" nic_in_dom0
finish
