#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# PV guests with functions: one that is turned away, one that is served, and one that sends
# nonsense. Would catch: a guest that waits for minutes when it loads its frontend, one that gets no
# interrupts of a kind or loses them when it loads its driver again, a function that is not returned,
# and whatever a hostile guest can do to dom0 in some seconds.
#
# PV_LONG=yes: hostile guests, too.

. "${0%/*}/ktap.sh"
. "${0%/*}/guests"

seconds=${HOSTILE_SECONDS:-10}
ahci=0000:00:05.0	# has MSI, but not MSI-X
wants $nic1 $ahci

pv_guest() { # SBDF...
	pci=
	for function; do pci="$pci --pci $function"; done
	guest-run --pv --name p --keep $pci "$(echo true | in_guest)"
}

serve() { # Y|N
	echo $1 >/sys/module/xen_pciback/parameters/pv
}

# A frontend that nobody answers waits for a minute and more.
loads_frontend() {
	tell p <<-'END'
		began=$(cut -d. -f1 /proc/uptime)
		modprobe xen-pcifront || exit
		seconds=$(($(cut -d. -f1 /proc/uptime) - began))
		[ $seconds -lt 5 ] || { echo "$seconds s"; dmesg | tail -n 5; exit 1; }
	END
}

told() {
	log | grep "domain $(xl domid p) is a PV guest, which is not served"
	same "lines" 1 "$(log | grep -c "is a PV guest")"
	same "state" "assigned $(xl domid p)" "$(cat $devices/$nic1/pciback/state)"
}

freed() {
	xl destroy p && free $nic1
}

# libxl leaves the directory of such a guest.
never_loads() {
	pv_guest $nic1 || return
	xl destroy p
	wait_for 10 grep -qx clean $devices/$nic1/pciback/state
	xenstore-rm /local/domain/0/backend/pci
}

has_function() {
	tell p <<-'END'
		for i in $(seq 50); do
			[ ! -e /sys/bus/pci/devices/0000:00:00.0/vendor ] || exit 0
			busybox usleep 200000
		done
		dmesg | tail -n 20
		exit 1
	END
}

# Each time the driver is loaded anew.
ping_by() { # MODE KIND
	tell p <<-END
		modprobe e1000e IntMode=$1
		(pings $mac1 $net1 '$2')
		status=\$?
		[ \$status = 0 ] || dmesg | tail -n 20
		rmmod e1000e
		exit \$status
	END
}

reads_by_msi() {
	tell p <<-END
		modprobe ahci && modprobe sd_mod || exit
		for i in \$(seq 60); do
			[ ! -e /dev/sda ] || break
			busybox usleep 500000
		done
		found=\$(head -c $(written | wc -c) /dev/sda | sha256sum)
		n=\$(counted 'pcifront-msi .*ahci')
		echo "\$n interrupts, \$found"
		[ \$n -gt 0 ] && [ "\$found" = "$(written | sha256sum)" ] || { cat /proc/interrupts; dmesg | tail; exit 1; }
	END
}

detached() {
	xl pci-detach p $nic1 || die "not detached"
	wait_for 10 grep -qx clean $devices/$nic1/pciback/state
	! tell p <<-'END' || die "the guest still sees it"
		[ -e /sys/bus/pci/devices/0000:00:00.0/vendor ]
	END
}

attached() {
	xl pci-attach p $nic1 && has_function
}

# Registers that are the backend's: COMMAND, a BAR, MSI-X, MSI.
registers() {
	tell p <<-'END'
		bar=$(setpci -s 0:0.0 BASE_ADDRESS_0)
		setpci -s 0:0.0 COMMAND=0 BASE_ADDRESS_0=ffffffff CAP_MSIX+2.w=c000 CAP_MSI+2.w=1
		echo "$(setpci -s 0:0.0 COMMAND BASE_ADDRESS_0 CAP_MSIX+2.w CAP_MSI+2.w | tr '\n' ' ')"
		setpci -s 0:0.0 BASE_ADDRESS_0=$bar
	END
}

registers_are_virtual() {
	before=$(setpci -s $nic1 COMMAND BASE_ADDRESS_0)
	same "what the guest sees" "0000 fffe0000 0003 0080 " "$(registers)"
	same "what the function has" "$before" "$(setpci -s $nic1 COMMAND BASE_ADDRESS_0)"
}

attacks() { # NAME [ring]
	tell $1 <<-END
		modprobe xen-evtchn
		modprobe xen-gntalloc
		hostile-frontend ${HOSTILE_SEED:-1} $seconds device/pci/0 $2 >/run/frontend 2>&1 &
		for i in \$(seq $((seconds * 2 + 20))); do
			grep ^answered /run/frontend && break
			sleep 1
		done
		cat /run/frontend
		killall hostile-frontend
		[ ! "$2" ] || grep -q 'answered [1-9]' /run/frontend
	END
}

# By Xen's word, it is no PV guest.
hvm_guest_is_not_served() {
	start_guest p "" $nic1 >/dev/null || return
	before=$(grep -c . /proc/interrupts)
	! attacks p ring >$tmp/attacks 2>&1 || die "$(cat $tmp/attacks)"
	grep 'answered 0$' $tmp/attacks || die "$(cat $tmp/attacks)"
	same "event channels" "$before" "$(grep -c . /proc/interrupts)"
	freed
}

long() { # SENTENCE COMMAND [ARG...]
	if [ "${PV_LONG-}" ]; then check "$@"; else skip "$1" "takes minutes: PV_LONG=yes"; fi
}

plan 19
check "a PV guest comes up" pv_guest $nic1
check "its frontend is told that nobody serves it" loads_frontend
check "so is the administrator, once" told
check "it ends, and the function is free" freed
check "a guest that never loads its frontend ends, and the function is clean" never_loads
serve Y
check "another PV guest comes up" pv_guest $nic1 $ahci
check "its frontend connects" loads_frontend
check "it finds its functions" has_function
for round in 1 2 3; do
	check "it pings by MSI-X, load $round of the driver" ping_by 2 "$msix"
done
check "it pings by INTx" ping_by 0 'xen-pirq.*-pcifront '
check "it reads a disk by MSI" reads_by_msi
check "it loses its function" detached
check "it gets it again" attached
check "the registers of the backend are virtual" registers_are_virtual
long "it sends nonsense, and gets answers (XSA-155, XSA-157, XSA-332)" attacks p ring
check "it ends, and the function is free" freed
long "an HVM guest is not served" hvm_guest_is_not_served
serve N
returned $nic1 $ahci
finish
