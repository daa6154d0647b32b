#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Random system calls on everything that xen-pcidev and xen-pciback show to user
# space, for twice FUZZ_SECONDS, beginning with FUZZ_SEED. Would catch: an argument
# that nobody thought of, a write where none may be, a leak, a race of a call with
# its file or memory, a file that is confused by what it is told, and anything that
# does not work any more after.

. "${0%/*}/ktap.sh"

seconds=${FUZZ_SECONDS:-5}
seed=${FUZZ_SEED:-1}
# What a round may leave behind: caches that are not full yet.
most_kib=1024

# Both programs at a time.
fuzz_once() { # SEED
	echo "seed $1"
	fuzz-files $seconds $1 $spare >$tmp/files 2>&1 &
	pid=$!
	fuzz-calls $seconds $1 $spare >$tmp/calls 2>&1
	status=$?
	wait $pid || status=1
	cat $tmp/calls $tmp/files
	return $status
}

say_tried() {
	sed -n 's/^tried: //p' $tmp/calls $tmp/files | while read -r number what; do
		tried $number "$what"
	done
}

# Function by function, and file by file.
everything_known() {
	ask list
	for function in $(all_functions); do ask info $function; done
	cd $devices && grep -rs . */xen/*
}

put_back() {
	for function in $spare; do
		[ "$(driver_of $function)" != pciback ] || /bin/echo $function >$pciback/unbind ||
			die "$function: stays"
	done
	# There may be thousands.
	for bus in $(cut -d: -f1,2 $pciback/slots | sort -u); do
		/bin/echo "$bus:*.*" >$pciback/remove_slot || die "slots on $bus stay"
	done
	same "slots" "" "$(cat $pciback/slots)"
}

as_before() {
	same "what is known" "$before" "$(everything_known)"
}

all_are_seized_and_returned() {
	for function in $spare; do
		seize $function
		# The latter if it has no reset.
		case $(cat $devices/$function/pciback/state) in
		clean | touched) ;;
		*) die "$function: $(cat $devices/$function/pciback/state)" ;;
		esac
		give_back $function
	done
}

kernel_memory() { # what slabs cannot give back, and mappings, in KiB
	sync
	echo 3 >/proc/sys/vm/drop_caches
	sleep 1
	awk '/^(SUnreclaim|VmallocUsed|Percpu|KernelStack|PageTables):/ { sum += $2 } END { print sum }' /proc/meminfo
}

no_growth() {
	grown=$(($(kernel_memory) - memory))
	echo "grown by $grown KiB"
	[ $grown -le $most_kib ]
}

is_loaded xen_pcidev || skip_all "needs xen-pcidev"
[ -e $pciback/do_flr ] || skip_all "needs our xen-pciback"
spare=$(spare_functions)
[ "$spare" ] || skip_all "no unused function"
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
# What others left there is not ours to remove.
[ -z "$(cat $pciback/slots)" ] || skip_all "the driver has slots"

plan 7
before=$(everything_known)
check "nothing is found" fuzz_once $seed
say_tried
check "all is put back" put_back
memory=$(kernel_memory)
check "nor in a second round" fuzz_once $((seed + 1))
say_tried
check "all is put back again" put_back
check "kernel memory does not grow" no_growth
check "every look-up is as before" as_before
check "every function is seized and returned" all_are_seized_and_returned
finish
