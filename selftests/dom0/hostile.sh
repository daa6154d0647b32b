#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Guests that own a function and write everything they may write: XenStore, the
# function itself, and to a backend that serves no frontend. Would catch: a trace
# of that in the function when the next one gets it, anything that dom0 maps,
# binds, answers or logs for such a guest, and harm to others.

. "${0%/*}/ktap.sh"
. "${0%/*}/guests"
. "${0%/*}/picture"

# For lsevtchn.
PATH=$PATH:$(dirname /usr/lib/xen-*/bin/lsevtchn)
# Each round is one guest; which function it gets, and how it ends, goes by the number.
rounds=${HOSTILE_ROUNDS:-1} first=${rounds%% *}
seconds=${HOSTILE_SECONDS:-6}
bystander=${HOSTILE_BYSTANDER:-no}
nvme=0000:00:07.0
wants $nvme $nic1 $nic2

# What prepare() of test.py wrote to the disk.
pattern=$(seq 100000 | sha256sum) length=$(seq 100000 | wc -c)

# Function, options and end of this round.
turn() { # ROUND
	victim=$nvme driver=nvme
	[ $(($1 % 2)) = 1 ] || victim=$nic2 driver=e1000e
	# With "permissive" the device model passes on all of configuration space.
	options=permissive=$(($1 % 4 < 2)) all=
	# Else it keeps the guest from what is not specified.
	[ $options = permissive=1 ] || all=-a
	case $(($1 % 3)) in
	1) end=destroyed ;;
	2) end=crashed ;;
	0) end=orphaned ;;
	esac
	seed=$((${HOSTILE_SEED:-1} + $1))
	what="round $1, $driver, $options"
}

crashed() {
	xen-hvmcrash $(xl domid $1)
	until_gone $1
}

# Its device model is killed first.
orphaned() {
	kill -9 $(pgrep -f "qemu.*-xen-domid $(xl domid $1) ") || die "no device model"
	sleep 1
	xl destroy $1 2>/dev/null
	until_gone $1
}

# The last count of what was tried, in a file of those programs.
count() { # FILE
	[ ! -e $1 ] || awk '$1 == "tried" { n = $2 } END { print n + 0 }' $1
}

backend_of() { # NAME
	echo /local/domain/0/backend/pci/$(xl domid $1)/0
}

# With Xen's view of it while it is dom0's. What is not specified has its last owner's traces.
in_dom0() {
	hardware $victim
	vpci_view $victim
}

like_new() {
	in_dom0 | diff $tmp/new-$victim - || die "not as it was at first"
}

fresh() {
	like_new
	assignable $victim
	free $victim
	hardware $victim $all >$tmp/fresh
	grep -q 'register 010 ' $tmp/fresh && grep -q 'hardware entry 0 .*1$' $tmp/fresh || die "no picture: $(cat $tmp/fresh)"
}

created() {
	start_guest h "" $victim,$options && echo "modprobe -a xen-evtchn xen-gntalloc; modprobe $driver" | tell h
}

xenstore_storm() {
	backend=$(backend_of h)
	nodes=$(xenstore-ls -p $backend)
	xenstore-write /selftest 0
	watch-latency /selftest $((seconds - 1)) >$tmp/latency &
	guest-exec h -c "hostile-store $seed $seconds device/pci/0 data $backend" >$tmp/store 2>&1
	wait
	lines=$(log | grep -c "domain $(xl domid h) ")
	[ $(count $tmp/store) -gt $((seconds * 3)) ] || die "hardly anything was written: $(cat $tmp/store)"
	same "what the backend has" "$nodes" "$(xenstore-ls -p $backend)"
	[ $lines -le 1 ] || die "$lines lines: $(log | tail -n 5)"
	echo "longest, mean, times: $(cat $tmp/latency)"
	[ $(cut -d' ' -f1 $tmp/latency) -lt 2000 ]
}

# Starts it in the background; says "GRANT PORT".
connect() {
	tell h <<-END
		hostile-frontend $seed $seconds device/pci/0 >/run/frontend 2>&1 &
		for i in \$(seq 50); do
			set -- \$(grep ^grant /run/frontend) && [ \$# = 4 ] && exec echo \$2 \$4
			usleep 100000
		done
		cat /run/frontend
		exit 1
	END
}

# Once all operations are sent, and it still is there.
sent() {
	tell h <<-END
		for i in \$(seq $((seconds * 2 + 20))); do
			grep ^answered /run/frontend && break
			sleep 1
		done
		cat /run/frontend
		killall hostile-frontend
	END
}

# Grants that Xen knows to be in use, event channels that have two ends.
in_use() { # DOMAIN GRANT PORT
	lsevtchn $1 | grep "^ *$3: .*Connected"
	dump g "gnttab_usage_print_all [" | awk -v domain="remote d$1 " -v ref="$(printf '[0x%03x]' $2)" '
		/grant-table for remote/ { ours = index($0, domain) }
		ours && index($0, ref)'
}

frontend() {
	id=$(xl domid h)
	set -- $(connect)
	[ $# = 2 ] || die "it offers nothing: $*"
	sleep $((seconds / 2))
	found=$(in_use $id $1 $2)
	lsevtchn $id | grep -q "^ *$2: .*Waiting" || die "no channel is offered: $(lsevtchn $id)"
	sent >$tmp/frontend
	[ $(count $tmp/frontend) -gt 100 ] || die "hardly anything was sent: $(cat $tmp/frontend)"
	same "grants and channels in use" "" "$found"
	same "answers" "answered 0" "$(grep ^answered $tmp/frontend | head -n 1)"
	same "state" "$(xenstore-read $(backend_of h)/state)" 3
	lines=$(log | grep -c "domain $id has a PCI frontend")
	[ $lines -le 1 ] || die "$lines lines: $(log | tail -n 5)"
}

# The same with somebody in dom0 who serves it.
served() {
	id=$(xl domid h)
	set -- $(connect)
	serve-frontend $id $1 $2 >$tmp/serve &
	sleep 2
	found=$(in_use $id $1 $2)
	sent >$tmp/served
	kill $!
	same "grants and channels in use" 2 "$(echo "$found" | grep -c .)"
	! grep '^answered 0$' $tmp/served
}

# In the guest: the function that looks like this one.
ids="$(printf %s '$(cat $d/vendor)$(cat $d/device)')"

scribble() {
	looks=$(cat $devices/$victim/vendor)$(cat $devices/$victim/device)
	guest-exec --timeout $((seconds * 4 + 30)) h -c "
		for d in /sys/bus/pci/devices/*; do
			[ $ids != $looks ] || hostile-device $seed $((seconds * 2)) \${d##*/}
		done" >$tmp/device 2>&1
	[ $(count $tmp/device) -gt 500 ] || die "hardly anything was written: $(tail $tmp/device)"
	differs $tmp/fresh $victim $all || die "the function has not changed"
}

free_and_fresh() {
	free $victim
	! differs $tmp/fresh $victim $all
}

next_in_dom0() {
	returned $victim
	like_new
	modprobe $driver
	# That may have bound it.
	[ "$(driver_of $victim)" ] || echo $victim >$drivers/$driver/bind || die "$driver does not take it"
	"works_$driver"
	status=$?
	echo $victim >$drivers/$driver/unbind
	return $status
}

works_nvme() {
	for i in $(seq 50); do
		disk=$(ls $devices/$victim/nvme/*/ 2>/dev/null | grep -o '^nvme[0-9]*n1$')
		[ -z "$disk" ] || break
		sleep 0.2
	done
	same "what is on it" "$pattern" "$(head -c $length /dev/$disk | sha256sum)"
}

works_e1000e() {
	. "${0%/*}/in-guest"
	pings $mac2 $net2 "$msix"
}

bystander_comes() {
	start_guest b "" $nic1
	can_ping b $mac1 $net1 "$msix" && keeps_pinging b $net1
}

round() {
	turn $1
	check "$what: the function is like a fresh one" fresh
	check "$what: a guest gets it" created
	check "$what: nothing comes of what it writes to XenStore" xenstore_storm
	tried $(count $tmp/store) writes to XenStore by a guest, seed $seed
	check "$what: dom0 maps, binds and answers nothing for a PCI frontend" frontend
	tried $(count $tmp/frontend) operations of a PCI frontend, seed $seed
	[ $1 != $first ] || check "$what: all three would be seen" served
	check "$what: it scribbles on the function" scribble
	tried $(count $tmp/device) writes to a function by its owner, seed $seed
	check "$what: it is $end" $end h
	check "$what: the function is free, and as fresh as ever" free_and_fresh
	check "$what: it works in dom0" next_in_dom0
}

others=0
[ $bystander = no ] || others=3
plan $((1 + 8 * $(echo $rounds | wc -w) + 1 + others))
functions="$nvme $nic2"
for function in $functions; do [ -z "$(driver_of $function)" ] || echo $function >$devices/$function/driver/unbind; done
# No guest has had them yet.
for victim in $functions; do in_dom0 >$tmp/new-$victim; done
[ $bystander = no ] || check "another guest has another function, and pings" bystander_comes
for round in $rounds; do round $round; done
if [ $bystander != no ]; then
	check "the other guest has pinged all the time" has_pinged b 30
	check "and is destroyed" destroyed b
fi
check "each change of a function would be seen, and is undone by a reset" changes_are_seen $nvme
finish
