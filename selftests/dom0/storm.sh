#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# A thousand look-ups at once, at all interfaces, while functions are seized, returned
# and hot-plugged. Would catch: a look-up that sees half of a
# change, sleeps where it must not, or uses what has been freed.

. "${0%/*}/ktap.sh"

# storm ends with its standard input: the pipe that descriptor 9 keeps open.
calm() {
	rm -f $tmp/pipe
	mkfifo $tmp/pipe
	storm ${STORM_THREADS:-1000} $(all_functions) <$tmp/pipe >$tmp/storm &
	pid=$!
	exec 9>$tmp/pipe
	until grep -q started $tmp/storm; do
		sleep 0.2
		kill -0 $pid 2>/dev/null || die "storm did not start"
	done
	"$@"
	status=$?
	exec 9>&-
	wait $pid || status=1
	grep -q '^[1-9][0-9]* look-ups, 0 wrong' $tmp/storm || status=1
	cat $tmp/storm
	return $status
}

cycles() { # COUNT COMMAND [ARG...]
	count=$1
	shift
	while [ $count -gt 0 ]; do
		"$@" || return
		count=$((count - 1))
	done
}

seize_and_return() { # SBDF...
	for function; do seize $function; done
	for function; do give_back $function; done
}

unplug() { # SBDF
	qmp '{"execute": "device_del", "arguments": {"id": "plugged"}}' || die "no device_del"
	wait_for 30 test ! -e $devices/$1
}

plug() { # SBDF
	# The emulator is a little later than dom0.
	wait_for 30 qmp '{"execute": "device_add", "arguments": {"driver": "e1000e", "id": "plugged", "bus": "port1"}}'
	wait_for 30 test -e $devices/$1/xen/gsi
}

unplug_seized() { # SBDF
	seize $1
	unplug $1
	# Or the driver would take it again.
	echo $1 >$pciback/remove_slot
	plug $1
}

unplug_and_plug() { # SBDF
	unplug $1
	plug $1
}

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

is_loaded xen_pcidev && [ -e $pciback ] || skip_all "needs xen-pcidev and xen-pciback"
spare=$(spare_functions routed | head -n 3)
[ "$spare" ] || skip_all "no unused function with a pin"
# Our own machine has one behind a port of this name (tests.toml). When it is
# plugged again, Xen refuses it at first: seizing it then brings down a Xen that
# is not asked anew.
plugged=
! in_vm || plugged=$(cd $devices && ls -d 0000:01:00.0 2>/dev/null)

plan 3
check "look-ups are right while functions are seized and returned" calm cycles 2 seize_and_return $spare
if [ "$plugged" ]; then
	check "look-ups are right while a seized function is hot-unplugged, twice" calm cycles 2 unplug_seized $plugged
	check "look-ups are right while a function is hot-unplugged and plugged" calm unplug_and_plug $plugged
else
	skip "look-ups are right while a seized function is hot-unplugged, twice" "needs our own machine"
	skip "look-ups are right while a function is hot-unplugged and plugged" "needs our own machine"
fi
finish
