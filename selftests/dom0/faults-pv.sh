#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# PV guests with a function, while a call of xen-pciback fails that serves them: each N-th.
# Would catch: an error path that leaves something mapped, bound or assigned, or that hangs
# a guest.
#
# FAULTS_EACH=1 lets all of them fail, which takes long.

. "${0%/*}/ktap.sh"
. "${0%/*}/guests"
. "${0%/*}/pv-guests"

each=${FAULTS_EACH:-23}
fault=/sys/module/xen_pciback/parameters/fault
wants $nic1
[ -e $fault ] || skip_all "needs our xen-pciback"

uses() {
	loads_frontend p && has_function p 0000:00:00.0 && tell p <<-END
		modprobe e1000e
		pings $mac1 $net1 '$msix'
	END
}

ends() {
	destroy_unconnected p $nic1 && free $nic1 && same "left in Xen" "$idle" "$(xen_counts)"
}

# The guest may do without what failed. Ends with 4 once there are fewer calls.
lives() { # CALL
	pv_guest p $nic1 >$tmp/said 2>&1 || die "$(cat $tmp/said)"
	lines=$(log | wc -l)
	echo $1 >$fault
	uses >$tmp/said 2>&1
	worked=$?
	left=$(cat $fault)
	echo 0 >$fault
	if [ $left -gt 0 ]; then
		[ $worked = 0 ] || die "nothing failed, and it does not ping: $(cat $tmp/said)"
		ends && exit 4
	fi
	same "failed calls" 1 "$(log | tail -n +$((lines + 1)) | grep -c "fault injected")"
	ends
}

all_fail() {
	call=1
	while :; do
		(lives $call) >$tmp/lives 2>&1
		case $? in
		0) ;;
		4) break ;;
		*) die "call $call: $(cat $tmp/lives)" ;;
		esac
		call=$((call + each))
	done
	[ $call -gt 100 ] || die "only $call calls"
	echo $((call / each)) >$tmp/tried
}

serves() {
	pv_guest p $nic1 && uses && ends
}

plan 3
assignable $nic1
idle=$(xen_counts)
check "each call that serves a PV guest fails, and nothing is left behind" all_fail
[ ! -e $tmp/tried ] || tried $(cat $tmp/tried) "failing calls of xen-pciback that serve a PV guest"
check "then a PV guest pings by MSI-X" serves
check "returned, it pings in dom0 by MSI-X" nic_in_dom0
finish
