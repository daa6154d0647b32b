#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Death in the middle: while a function is given to a guest or taken from it, the
# toolstack, the device model or the guest dies, a little later each time. Would
# catch: a function that stays taken for good, that is offered unreset, or that
# xen-pciback has lost count of. The guests need not even boot.

. "${0%/*}/ktap.sh"
. "${0%/*}/guests"
. "${0%/*}/picture"

# STEP-VICTIM, each at this many moments.
kinds=${HOSTILE_KINDS:-create-xl attach-guest}
moments=${HOSTILE_MOMENTS:-1}
nvme=0000:00:07.0
wants $nvme

milliseconds() {
	awk '{ printf "%d\n", $1 * 1000 }' /proc/uptime
}

# What there has to be before a step, and the step, which is interrupted.
before_create() {
	described v $nvme >$tmp/v.cfg
}

step_create() {
	exec xl create $tmp/v.cfg
}

before_attach() {
	described v >$tmp/v.cfg
	guest-create $tmp/v.cfg
}

step_attach() {
	exec xl pci-attach v $nvme
}

before_detach() {
	described v $nvme >$tmp/v.cfg
	guest-create $tmp/v.cfg
}

# A guest that has not booted does not let go by itself.
step_detach() {
	exec xl pci-detach -f v $nvme
}

prepare() { # STEP
	for attempt in 1 2 3; do
		before_$1 >$tmp/prepared 2>&1 && return
		# Now and then a device model is gone before it could get the function.
		grep 'device model did not start' $tmp/prepared || break
		cleared
	done
	die "no guest: $(cat $tmp/prepared; tail -n 5 /var/log/xen/qemu-dm-v.log)"
}

kill_xl() {
	kill -9 $step 2>/dev/null
}

kill_dm() {
	dm=$(pgrep -f 'qemu.*-xen-domid') && kill -9 $dm
}

kill_guest() {
	xen-hvmcrash $(xl domid v)
}

# All guests are destroyed, however much of them there is.
cleared() {
	for i in $(seq 20); do
		left=$(xl list | awk 'NR > 1 && $2 != 0 { print $2 }')
		[ "$left" ] || break
		for id in $left; do xl destroy $id; done
		sleep 0.5
	done
	[ -z "$left" ] || die "cannot be destroyed: $(xl list)"
	# One that the toolstack has forgotten.
	dm=$(pgrep -f 'qemu.*-xen-domid') && kill -9 $dm
	# And its own note of who has the function, which it does not look after.
	note=/libxl/pci/$(echo $nvme | tr :. --)/domid
	! xenstore-exists $note || { xenstore-rm $note; echo note >>$tmp/notes; }
}

usable() { # SBDF
	! xenstore-ls /local/domain/0/backend/pci | grep -q $1 || return
	grep -qxE 'clean|touched' $devices/$1/pciback/state
}

# Nobody has it, it is offered, and whoever gets it next finds it as at first.
ready_for_next() {
	wait_for 20 usable $nvme
	xl pci-assignable-list | grep -q $nvme ||
		die "not assignable: $(xl pci-assignable-list 2>&1; log | tail -n 5)"
	# As the next toolstack does; nothing happens to one that is clean.
	echo $nvme >$pciback/do_flr || die "cannot be reset"
	same "state" touched "$(cat $devices/$nvme/pciback/state)"
	! differs $tmp/fresh $nvme
}

# How long a step takes when nobody dies.
measure() { # STEP
	prepare $1
	began=$(milliseconds)
	(step_$1) >$tmp/measured 2>&1 || die "$1 fails by itself: $(cat $tmp/measured)"
	took=$(($(milliseconds) - began))
	cleared
	ready_for_next
}

dies() { # STEP VICTIM MILLISECONDS
	prepare $1
	step_$1 >$tmp/interrupted 2>&1 &
	step=$!
	sleep $(printf '%d.%03d' $(($3 / 1000)) $(($3 % 1000)))
	! kill -0 $step 2>/dev/null || echo hit >>$tmp/hits
	kill_$2
	# The toolstack may take long to see it, and 60 s to give up.
	for i in $(seq 900); do
		kill -0 $step 2>/dev/null || break
		sleep 0.1
	done
	cleared
	ready_for_next || die "$1, $2 dies after $3 ms: $(cat $tmp/interrupted)"
}

walk() { # STEP VICTIM
	measure $1
	moment=0
	while [ $moment -lt $moments ]; do
		moment=$((moment + 1))
		(dies $1 $2 $((took * moment / (moments + 1)))) || return
		echo death >>$tmp/deaths
	done
	echo "$moments deaths in $took ms"
}

# A whole life, and dom0's own driver.
all_is_well() {
	create v $nvme
	same "state" "assigned $(xl domid v)" "$(cat $devices/$nvme/pciback/state)"
	cleared
	ready_for_next
	returned $nvme
	modprobe nvme
	# That may have bound it.
	[ "$(driver_of $nvme)" ] || echo $nvme >$drivers/nvme/bind || die "nvme does not take it"
	echo $nvme >$drivers/nvme/unbind
}

fresh() {
	assignable $nvme
	free $nvme
	hardware $nvme >$tmp/fresh
	! differs $tmp/fresh $nvme
}

set -- $kinds
plan $(($# + 4))
touch $tmp/hits $tmp/deaths $tmp/notes
check "the function is seized, and is as fresh as it can be" fresh
for kind; do
	check "${kind%-*}: ${kind#*-} dies at $moments moments, and the function is free and fresh" walk ${kind%-*} ${kind#*-}
done
tried $(grep -c . $tmp/deaths) deaths in the middle of a step, $(grep -c . $tmp/hits) of them before its end
echo "# libxl left a note of its own behind $(grep -c . $tmp/notes) times"
check "most died before the end" [ $(($(grep -c . $tmp/hits) * 2)) -gt $(grep -c . $tmp/deaths) ]
check "a guest and dom0 can have it" all_is_well
check "each change of a function would be seen, and is undone by a reset" changes_are_seen $nvme
finish
