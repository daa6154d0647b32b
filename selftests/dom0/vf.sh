#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# SR-IOV virtual functions, which Xen 4.20 refuses. Would catch: one being seized
# in spite of that, which takes the whole host down (so this test is not for the
# stock driver).

. "${0%/*}/ktap.sh"

make_vfs() {
	modprobe igb
	echo $pf >$drivers/igb/bind 2>/dev/null
	same "driver of the PF" igb "$(driver_of $pf)"
	echo 2 >$devices/$pf/sriov_numvfs || die "no VFs"
}

refused() {
	for link in $devices/$pf/virtfn*; do
		vf=$(basename $(readlink $link))
		refused_by_xen $vf || continue
		[ -z "$(driver_of $vf)" ] || echo $vf >$devices/$vf/driver/unbind
		echo $vf >$pciback/new_slot
		! error=$(/bin/echo $vf 2>&1 >$pciback/bind) || die "$vf was taken"
		case $error in *"No such device"*) ;; *) die "$vf: $error" ;; esac
		log | grep -q "$vf: not seized: Xen refuses" || die "the log does not say why"
		echo $vf >$pciback/remove_slot
	done
}

finds() { # LEVEL CODE SBDF
	report=$(pcidev doctor $3)
	echo "$report" | grep -qE "^ +$1 +$2: " || die "no $2: $report"
}

doctor_knows() {
	finds fails refused $(basename $(readlink $devices/$pf/virtfn0))
	finds note virtual-functions $pf
	echo 0 >$devices/$pf/sriov_numvfs
	! (finds '[a-z]+' '(refused|virtual-functions)' $pf) || die "it goes on about them"
	echo 2 >$devices/$pf/sriov_numvfs
}

# The PF's driver takes its VFs with it.
pf_goes() {
	echo $pf >$drivers/igb/unbind
	[ ! -e $devices/$pf/virtfn0 ] || die "there are VFs left"
	modprobe -r igb
	(seize $pf) || die "the PF cannot be seized"
	give_back $pf
}

[ -e $pciback/do_flr ] || skip_all "needs our xen-pciback: the stock driver brings Xen down"
in_vm || skip_all "needs our own machine"
for file in $devices/*/sriov_numvfs; do [ ! -e $file ] || pf=$(basename ${file%/*}); done
[ "$pf" ] || skip_all "no function with SR-IOV"

plan 4
check "a NIC makes virtual functions" make_vfs
check "those that Xen refuses are refused, in plain words" refused
check "pcidev doctor tells of them" doctor_knows
check "the physical function goes, and can be seized" pf_goes
finish
