#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Virtual functions in guests, where Xen takes them, while dom0 uses their physical function.
# Would catch: one that gets no MSI-X, since vPCI shows dom0 neither its BARs nor its table;
# a guest that keeps one that is gone; a physical function that is reset or given away meanwhile.

. "${0%/*}/ktap.sh"
. "${0%/*}/guests"

# Each on the PF's network, which is that of its netdev.
network=10.0.9
mac0=52:54:00:00:09:0

pf_works() {
	modprobe igb
	echo $pf >$drivers/igb/bind 2>/dev/null
	nic=$(ls $devices/$pf/net) || die "no interface"
	[ "$(ip -4 addr show dev $nic)" ] || ip addr add $network.15/24 dev $nic
	ip link set $nic up
	echo 2 >$devices/$pf/sriov_numvfs
	for n in 0 1; do ip link set $nic vf $n mac $mac0$n; done
}

dom0_pings() {
	busybox ping -c 3 -W 5 -I "$(ls $devices/$pf/net)" $network.2 | grep received
}

virtual() { # NUMBER
	basename $(readlink $devices/$pf/virtfn$1)
}

start_both() {
	for n in 0 1; do
		guest-run --name v$n --keep --pci $(virtual $n) "$(echo modprobe igbvf | in_guest)" || die "no guest v$n"
	done
}

both_ping() {
	for n in 0 1; do
		echo "ip addr add $network.2$n/24 dev \$(nic $mac0$n); pings $mac0$n $network '$msix'" | tell v$n || die "v$n"
		no_mapping_error v$n || die "v$n: its device model could not map all"
	done
	dom0_pings
}

one_stays() {
	destroyed v0
	wait_for 10 released $(virtual 0)
	echo "pings ${mac0}1 $network '$msix'" | tell v1 || die "v1 has no interrupts"
	xl pci-assignable-remove $(virtual 0)
}

# The driver of the PF asks whether a guest has one of its VFs.
vfs_stay() {
	! echo 0 >$devices/$pf/sriov_numvfs 2>/dev/null || die "they go"
	echo "pings ${mac0}1 $network '$msix'" | tell v1 || die "v1 has no interrupts"
	dom0_pings
}

pf_is_not_reset() {
	same "its reset methods" "" "$(cat $devices/$pf/reset_method)"
	! echo 1 >$devices/$pf/reset 2>/dev/null || die "it was reset"
	! echo $pf >$pciback/do_flr 2>/dev/null || die "do_flr resets it"
	log | grep -q "$pf: no reset while a guest has a virtual function" || die "the log does not say so"
	report=$(echo $(pcidev doctor $pf))
	case $report in *"while guests have $(virtual 1) "*) ;; *) die "$report" ;; esac
	echo "pings ${mac0}1 $network '$msix'" | tell v1 || die "v1 has no interrupts"
}

# It leaves the VFs that guests have, and with max_vfs= it finds them again.
pf_driver_goes() {
	echo $pf >$drivers/igb/unbind
	! (seize $pf) || die "it was seized"
	log | grep -q "$pf: not seized: it has virtual functions" || die "the log does not say why"
	echo $pf >$pciback/remove_slot
	echo true | tell v1 || die "v1 has ended"
	modprobe -r igb
	modprobe igb max_vfs=2
	pf_works
	dom0_pings
}

both_go() {
	destroyed v1
	wait_for 10 released $(virtual 1)
	same "reset methods of the physical function" "$methods" "$(cat $devices/$pf/reset_method)"
	echo 0 >$devices/$pf/sriov_numvfs || die "they stay"
	[ ! -e $devices/$pf/virtfn0 ] || die "there are VFs left"
	dom0_pings
}

anew() {
	echo 2 >$devices/$pf/sriov_numvfs
	assignable $(virtual 1)
	same "state" clean "$(cat $devices/$(virtual 1)/pciback/state)"
	returned $(virtual 1)
	echo 0 >$devices/$pf/sriov_numvfs
}

for file in $devices/*/sriov_numvfs; do [ ! -e $file ] || pf=$(basename ${file%/*}); done
[ "$pf" ] && [ -e $pciback/do_flr ] || skip_all "needs our xen-pciback, and a function with SR-IOV"
pf_works
methods=$(cat $devices/$pf/reset_method)
! refused_by_xen $(virtual 0) || { echo 0 >$devices/$pf/sriov_numvfs; skip_all "this Xen has refused the VFs"; }

plan 9
check "dom0 uses the physical function" dom0_pings
check "two guests come up, each with a VF" start_both
check "both ping by MSI-X, and dom0 does" both_ping
check "one guest goes, and the other one goes on" one_stays
check "VFs stay while a guest has one" vfs_stay
check "nor is their physical function reset" pf_is_not_reset
check "its driver can go and come back, and no guest gets it meanwhile" pf_driver_goes
check "they go when no guest has one" both_go
check "VFs that are made anew can be had" anew
finish
