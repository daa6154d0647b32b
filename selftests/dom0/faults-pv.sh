#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# PV guests with a function, while a call of xen-pciback fails that serves them: when the frontend
# connects and the function is used, when the frontend closes, when the function is detached
# and attached, and when the guest is destroyed. Would catch: an error path that leaves
# something mapped, bound or assigned, or that hangs a guest, and a failure of which nobody hears.
#
# FAULTS_EACH=1 lets all of them fail, which takes hours; else it is each N-th, from FAULTS_FIRST
# on: one by chance. FAULTS_WALKS: only these, as "connects closes".

. "${0%/*}/ktap.sh"
. "${0%/*}/guests"
. "${0%/*}/pv-guests"
. "${0%/*}/pv-uses"

each=${FAULTS_EACH:-23} walks=${FAULTS_WALKS:-connects closes moves ends}
first=${FAULTS_FIRST:-$((1 + $(od -An -N2 -tu2 /dev/urandom) % each))}
fault=/sys/module/xen_pciback/parameters/fault
pcifront=/sys/bus/xen/drivers/pcifront
nic=/sys/bus/pci/devices/0000:00:00.0
wants $nic1
[ -e $fault ] || skip_all "needs our xen-pciback"

# A guest that waits for what fails would wait long for each.
connects() {
	tell p <<-END
		[ -e $pcifront/pci-0 ] || echo pci-0 >$pcifront/bind ||
			{ echo "bind fails"; dmesg | tail -n 10; exit 1; }
		for i in \$(seq 50); do
			[ "\$(cat /sys/bus/xen/devices/pci-0/state)" != Initialised ] || busybox usleep 100000
		done
		for i in \$(seq 10); do
			[ ! -e $nic/net ] || break
			busybox usleep 100000
		done
		[ -e $nic/net ] || { dmesg | tail -n 10; exit 1; }
		name=\$(ls $nic/net)
		ip addr add $net1.15/24 dev \$name
		ip link set \$name up
		for i in \$(seq 40); do
			[ "\$(cat /sys/class/net/\$name/carrier)" != 1 ] || break
			busybox usleep 500000
		done
		n=\$(counted "$pcifront_msix.* \$name([-,]|\$)")
		busybox ping -c 1 -W 5 $net1.2 >/dev/null
		[ \$? = 0 ] && [ \$(counted "$pcifront_msix.* \$name([-,]|\$)") -gt \$n ] || { dmesg | tail -n 10; exit 1; }
	END
}

closes() {
	tell p <<-END
		[ ! -e $pcifront/pci-0 ] || echo pci-0 >$pcifront/unbind
		[ ! -e $nic ]
	END
}

is_there() {
	! gone p || { pv_guest p $nic1 && loads_frontend p && echo 'modprobe e1000e' | tell p; }
}

moves() {
	xl pci-detach p $nic1
	wait_for 10 is_settled
	xl pci-attach p $nic1
	wait_for 10 is_settled
}

is_settled() {
	! grep -qx returned $devices/$nic1/pciback/state
}

ends() {
	xl destroy p
	until_gone p
	wait_for 20 is_settled
}

# Whether all has come as if nothing had failed.
connects_worked() {
	[ $status = 0 ]
}

closes_worked() {
	[ $status = 0 ] && connects
}

moves_worked() {
	[ $status = 0 ] && connects
}

ends_worked() {
	gone p && (wait_for 10 released $nic1)
}

# A backend does not try again to connect for the same guest.
gives_up() { # WHAT
	[ $1 != connects ] || log | tail -n +$((lines + 1)) | grep "cannot connect to the PCI frontend"
}

begins_anew() {
	gone p || xl destroy p
	until_gone p
	left=$(xenstore-ls -f /local/domain/0/backend/pci | sed -n '1s,/[0-9]* = .*,,p')
	[ ! "$left" ] || xenstore-rm $left 2>/dev/null
	wait_for 10 eval "! ls -d /sys/bus/xen-backend/devices/pci-*"
	wait_for 20 is_settled
	grep -qx clean $devices/$nic1/pciback/state && return
	xl pci-assignable-remove $nic1
	assignable $nic1 && free $nic1
}

# By xl, if it is used. Only a guest's first failing request is logged. What the guest says is no
# help in dom0.
is_told() { # WHAT
	case $1 in
	moves | ends) ! grep -iE 'error|fail|not ready' $tmp/said || return 0 ;;
	*)
		case $failed in
		*"configuration space" | hypercall)
			! log | grep "for domain $(xl domid p): .*; later failures are not logged" || return 0
			;;
		esac
		;;
	esac
	dmesg -r | sed -n "/$marker/,\$p" | tail -n +$((lines + 1)) |
		grep -E '^<[0-4]>.*pc(iback|idev)' | grep -vE 'fault injected|forcefully removed'
}

# WHAT is one of these. Ends with 4 once there are fewer calls.
step() { # WHAT CALL
	{
		is_there && case $1 in
		connects) closes ;;
		*) [ -e $tmp/is_in_use ] || connects ;;
		esac
	} >$tmp/ready 2>&1 || die "before: $(cat $tmp/ready)"
	rm -f $tmp/is_in_use
	lines=$(log | wc -l)
	echo $2 >$fault
	($1) >$tmp/said 2>&1
	status=$?
	left=$(cat $fault)
	echo 0 >$fault
	failed=$(log | tail -n +$((lines + 1)) | sed -n 's/.*fault injected: //p')
	($1_worked) >$tmp/worked 2>&1 && worked=yes || worked=
	if [ $left -gt 0 ]; then
		[ "$worked" ] || die "nothing failed, and it does not work: $(cat $tmp/said $tmp/worked)"
		exit 4
	fi
	same "failed calls" 1 "$(echo "$failed" | grep -c .)"
	if [ "$worked" ]; then
		echo "$failed" >>$tmp/absorbed
		[ $1 = ends ] || touch $tmp/is_in_use
	else
		is_told $1 || echo "$1, call $2: $failed" >>$tmp/untold
		! gives_up $1 || begins_anew || die "$failed: it is of no use any more: $(log | tail -n 10)"
	fi
}

# What is left in the guest goes with it, so it is counted before.
all_fail() { # WHAT MINIMUM
	call=$first
	while :; do
		(step $1 $call) >$tmp/step 2>&1
		case $? in
		0) echo $1 >>$tmp/tried ;;
		4) break ;;
		*) die "call $call: $(cat $tmp/step)" ;;
		esac
		call=$((call + each))
	done
	[ $call -gt $2 ] || die "only $call calls"
	gone p || closes && same "left in the guest, after $(tail -n 3 $tmp/absorbed)" "$unused" "$(xen_counts)"
	begins_anew && nothing_left
}

walk() { # SENTENCE WHAT MINIMUM
	case " $walks " in
	*" $2 "*) check "$1" all_fail $2 $3 ;;
	*) skip "$1" "FAULTS_WALKS=$walks" ;;
	esac
}

all_are_told() {
	[ ! -s $tmp/untold ] || die "$(cat $tmp/untold)"
}

serves() {
	is_there && connects && ends && ends_worked && free $nic1
}

plan 7
assignable $nic1
idle=$(counts_of_guests) unused=$(xen_counts)
touch $tmp/tried $tmp/absorbed $tmp/untold
walk "calls fail while a frontend connects and a function is used, and nothing is left behind" connects 100
walk "so they do while a frontend closes" closes 1
walk "so they do while the function is detached and attached" moves 20
walk "so they do while the guest is destroyed" ends 20
check "what fails for good is told, by the log or by xl" all_are_told
tried $(grep -c . $tmp/tried) "failing calls of xen-pciback that serve a PV guest, $(grep -c . $tmp/absorbed) of them without consequence"
check "then a PV guest pings by MSI-X" serves
check "returned, it pings in dom0 by MSI-X" nic_in_dom0
finish
