#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# SR-IOV virtual functions, which Xen takes from 4.21 on. Would catch: one being seized that
# Xen has refused, which takes the whole host down (so this test is not for the stock
# driver); one that Xen has taken being refused; VFs that outlive their PF's wish; a PF that is
# reset or given away while it has VFs.

. "${0%/*}/ktap.sh"

make_vfs() {
	modprobe igb
	echo $pf >$drivers/igb/bind 2>/dev/null
	same "driver of the PF" igb "$(driver_of $pf)"
	numvfs 2
	same "VFs" 2 "$(echo $(vfs) | wc -w)"
}

numvfs() { # NUMBER
	echo $1 >$devices/$pf/sriov_numvfs || die "not $1 VFs"
}

vfs() {
	for link in $devices/$pf/virtfn*; do
		[ ! -e $link ] || basename $(readlink $link)
	done
}

no_vfs() {
	[ -z "$(vfs)" ]
}

answer() { # SBDF: what Xen said when Linux added it
	if refused_by_xen $1; then echo refused; else echo taken; fi
}

as_known() {
	for vf in $(vfs); do same "$vf, by this Xen" $known "$(answer $vf)"; done
}

refused() {
	for vf in $(vfs); do
		[ -z "$(driver_of $vf)" ] || echo $vf >$devices/$vf/driver/unbind
		echo $vf >$pciback/new_slot
		! error=$(/bin/echo $vf 2>&1 >$pciback/bind) || die "$vf was taken"
		case $error in *"No such device"*) ;; *) die "$vf: $error" ;; esac
		log | grep -q "$vf: not seized: Xen refuses" || die "the log does not say why"
		echo $vf >$pciback/remove_slot
	done
	first=$(vfs | head -n 1)
	load_naming "hide=($first)"
	wait_for 10 refusal_logged $first
	load_naming ""
}

refusal_logged() { # SBDF
	log | sed -n '/loaded with hide=/,$p' | grep -q "$1: not seized: Xen refuses"
}

# Makes them after xen-pciback was told which ones to take.
load_naming() { # PARAMETER
	numvfs 0
	rmmod xen-pciback
	echo "loaded with $1" >/dev/kmsg
	modprobe xen-pciback $1 || die "not loaded with $1"
	numvfs 2
}

state() { # SBDF
	cat $devices/$1/pciback/state
}

taken() {
	for vf in $(vfs); do
		seize $vf
		same "state of $vf" clean "$(state $vf)"
		same "its reset" flr "$(cat $devices/$vf/pciback/reset)"
		echo $vf >$pciback/do_flr && echo $vf >$pciback/do_flr || die "$vf: do_flr fails"
		same "its MSI-X table" held "$(cat $devices/$vf/xen/msix)"
		give_back $vf
		same "its MSI-X table in dom0" free "$(cat $devices/$vf/xen/msix)"
	done
}

finds() { # LEVEL CODE SBDF
	report=$(pcidev doctor $3)
	echo "$report" | grep -qE "^ +$1 +$2: " || die "no $2: $report"
}

doctor_knows() {
	first=$(vfs | head -n 1)
	for text in list "groups $first" "doctor $first"; do
		pcidev $text | grep -q "^$first .*VF of $pf" || die "pcidev $text: $(pcidev $text)"
	done
	pcidev show $first | grep -q "^NAME .*VF of $pf" || die "pcidev show $first"
	finds note virtual-functions $pf
	if [ $kind = refused ]; then
		finds fails refused $first
	else
		of_one_mind $first ""
		xl pci-assignable-add $first
		of_one_mind $first ", held"
		xl pci-assignable-remove $first
	fi
	numvfs 0
	! (finds '[a-z]+' '(refused|virtual-functions)' $pf) || die "it goes on about them"
	numvfs 2
}

# Xen hides a VF's MSI-X from dom0 while dom0 owns it.
of_one_mind() { # SBDF HELD
	entries=$(pcidev show $1 | awk '$1 == "MSI-X" { print $2 }')
	[ "$entries" -gt 0 ] || die "$(pcidev show $1)"
	report=$(pcidev doctor $1)
	case $report in *"fails  "* | *no-interrupt*) die "$report" ;; esac
	case $report in *"MSI-X, $entries entries$2"*) ;; *) die "$report" ;; esac
}

# The PF's driver takes seized VFs away, and they are as new afterwards.
while_seized() {
	numbers=$(vfs)
	for vf in $numbers; do seize $vf; done
	numvfs 0
	wait_for 10 no_vfs
	[ -z "$(ls $pciback | grep ^0000:)" ] || die "seized: $(ls $pciback)"
	# They are still wanted.
	numvfs 2
	for vf in $numbers; do
		wait_for 10 is_seized $vf
		same "state of $vf" clean "$(state $vf)"
		give_back $vf
	done
}

named() { # PARAMETER SBDF...
	load_naming "$1"
	shift
	for vf; do
		wait_for 10 is_seized $vf
		same "state of $vf" clean "$(state $vf)"
	done
	for vf in $(vfs); do
		case " $* " in *" $vf "*) ;; *) ! is_seized $vf || die "$vf was taken, too" ;; esac
	done
}

# By address, and by what they are.
named_before() {
	numbers=$(vfs)
	first=$(echo "$numbers" | head -n 1)
	named "hide=($first)" $first
	named "ids=$(cut -c3- $devices/$first/vendor):$(cut -c3- $devices/$first/device)" $numbers
	load_naming ""
}

# A driver that leaves VFs behind, as igb does while guests have some.
with_stub() {
	numvfs 0
	modprobe -r igb
	modprobe pci-pf-stub
	echo "$(cut -c3- $devices/$pf/vendor) $(cut -c3- $devices/$pf/device)" >$drivers/pci-pf-stub/new_id
	numvfs 2
	echo $pf >$drivers/pci-pf-stub/unbind
	same "VFs without a driver of the PF" 2 "$(echo $(vfs) | wc -w)"
	! (seize $pf) || die "it was seized"
	log | grep -q "$pf: not seized: it has virtual functions" || die "the log does not say why"
	echo $pf >$pciback/remove_slot
	! echo $pf >$pciback/do_flr || die "do_flr resets it"
	echo $pf >$drivers/pci-pf-stub/bind
}

# Nobody forbids that while no guest has a VF.
with_stub_reset() {
	for vf in $(vfs); do
		seize $vf
		cp $devices/$vf/config $tmp/$vf
	done
	echo 1 >$devices/$pf/reset || die "it cannot be reset"
	for vf in $(vfs); do
		echo $vf >$pciback/do_flr || die "$vf: do_flr fails"
		cmp $tmp/$vf $devices/$vf/config || die "$vf has lost registers"
		give_back $vf
	done
}

without_stub() {
	numvfs 0
	modprobe -r pci-pf-stub
	make_vfs
}

# The PF's driver takes its VFs with it.
pf_goes() {
	echo $pf >$drivers/igb/unbind
	[ ! -e $devices/$pf/virtfn0 ] || die "there are VFs left"
	modprobe -r igb
	(seize $pf) || die "the PF cannot be seized"
	give_back $pf
}

either() { # KIND SENTENCE COMMAND
	if [ $1 = $kind ]; then check "$2" $3; else skip "$2" "this Xen has $kind them"; fi
}

[ -e $pciback/do_flr ] || skip_all "needs our xen-pciback: the stock driver brings Xen down"
in_vm || skip_all "needs our own machine"
for file in $devices/*/sriov_numvfs; do [ ! -e $file ] || pf=$(basename ${file%/*}); done
[ "$pf" ] || skip_all "no function with SR-IOV"
read -r major </sys/hypervisor/version/major
read -r minor </sys/hypervisor/version/minor
known=taken
[ $((major * 100 + minor)) -ge 421 ] || known=refused

tmp=$(mktemp -d)

plan 11
check "a NIC makes virtual functions" make_vfs
kind=$(answer $(vfs | head -n 1))
check "Xen $major.$minor has $known them" as_known
either refused "those that Xen refuses are refused, in plain words" refused
either taken "those that Xen takes are seized, reset and returned" taken
check "pcidev doctor tells of them" doctor_knows
either taken "they can go while they are seized" while_seized
either taken "they can be named before they exist" named_before
check "a physical function that has some is neither seized nor reset for guests" with_stub
either taken "they can be had when it was reset" with_stub_reset
check "they go by its driver" without_stub
check "the physical function goes, and can be seized" pf_goes
finish
