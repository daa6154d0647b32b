#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# What xen-pciback takes, and what it refuses. Would catch: a function that cannot
# be seized for want of INTx, a bridge that can, a function that is returned
# changed, and memory that is left behind.

. "${0%/*}/ktap.sh"

# All but bus mastering, which stays off until a driver wants it.
registers() { # SBDF
	for bar in 0 1 2 3 4 5; do config $1 BASE_ADDRESS_$bar.l; done
	config $1 ROM_ADDRESS.l
	printf '%04x\n' $((0x$(config $1 COMMAND) & ~0x4))
}

round() { # SBDF
	before=$(registers $1)
	setpci -s $1 COMMAND=4:4
	seize $1
	give_back $1
	same "registers of returned $1" "$before" "$(registers $1)"
	same "bus mastering of returned $1" 0 $((0x$(config $1 COMMAND) & 0x4))
}

refused() { # SBDF ERRNO
	native=$(driver_of $1)
	[ -z "$native" ] || echo $1 >$drivers/$native/unbind
	echo $1 >$pciback/new_slot
	# The shell's own echo does not tell errors apart.
	! error=$(/bin/echo $1 2>&1 >$pciback/bind) || die "$1 was taken"
	echo $1 >$pciback/remove_slot
	same "driver" "" "$(driver_of $1)"
	case $error in *"$2"*) ;; *) die "$1: $error" ;; esac
	log | grep -q "$1: not seized: ." || die "the log does not say why"
	[ -z "$native" ] || echo $1 >$drivers/$native/bind
}

# "FUNCTION BRIDGE" for a function that is behind a bridge.
behind() {
	for function in $functions; do
		bridge=$(basename $(dirname $(readlink -f $devices/$function)))
		case $bridge in 0000:*) echo $function $bridge && return ;; esac
	done
}

by_bridge() { # SBDF BRIDGE
	! echo $1 >$pciback/bind 2>/dev/null || die "bound without being asked for"
	echo $2 >$pciback/new_slot
	echo $1 >$pciback/bind || die "not bound: $(dmesg | tail -n 1)"
	! grep $1 $pciback/slots || die "added to slots"
	echo $1 >$pciback/unbind
	echo $2 >$pciback/remove_slot
}

bridges_refused() {
	for bridge in $bridges; do refused $bridge "No such device"; done
}

# What the kernel allocates in ten cycles and does not free, by who asked for it.
# What is freed in bulk after a grace period cannot be followed.
leaves_nothing() { # SBDF
	round $1
	for event in kmem/kmalloc kmem/kfree; do echo 1 >$tracing/events/$event/enable; done
	echo >$tracing/trace
	i=0
	while [ $i -lt 10 ]; do
		seize $1
		echo $1 >$pciback/do_flr
		echo $1 >$pciback/do_flr
		give_back $1
		i=$((i + 1))
	done
	for event in kmem/kmalloc kmem/kfree; do echo 0 >$tracing/events/$event/enable; done
	cat >$tmp/leaks.py <<-'END'
		import collections, re, sys
		live = {}
		allocations = 0
		for line in open(sys.argv[1]):
		    if "kernfs_fop_open" in line:
		        continue
		    if found := re.search(r" (kmalloc|kfree): call_site=(\S+) .*?ptr=(\S+)", line):
		        event, site, pointer = found.groups()
		        if event == "kmalloc":
		            live[pointer] = site.partition("+")[0]
		            allocations += 1
		        else:
		            live.pop(pointer, None)
		sites = collections.Counter(live.values())
		print(f"{allocations} allocations, {len(live)} live: {sites}")
		sys.exit(allocations < 50 or any(count >= 10 for count in sites.values()))
	END
	python3 -IS $tmp/leaks.py $tracing/trace
}

# As a reset that nobody could repair leaves it.
without_bars() {
	command=$(config $flr COMMAND)
	bars="$(config $flr BASE_ADDRESS_0.l) $(config $flr BASE_ADDRESS_1.l)"
	setpci -s $flr COMMAND=0
	setpci -s $flr BASE_ADDRESS_0.l=0,0
	refused $flr "Input/output error"
	setpci -s $flr BASE_ADDRESS_0.l=${bars% *},${bars#* }
	setpci -s $flr COMMAND=$command
	round $flr
}

[ -e $pciback ] || skip_all "xen-pciback is not loaded"
functions=$(spare_functions)
! in_vm || bridges=$(grep -l '^0x060[0-4]' $devices/*/class | cut -d/ -f6)
flr=$(spare_functions has_flr_and_msix | head -n 1)
tmp=$(mktemp -d)
tracing=/sys/kernel/tracing

plan 5
check "every function is seized and returned, with INTx or without" each round
behind=$(behind)
if [ "$behind" ]; then
	check "a bridge in new_slot stands for what is behind it" by_bridge $behind
else
	skip "a bridge in new_slot stands for what is behind it" "nothing spare behind a bridge"
fi
if [ "$bridges" ]; then
	check "bridges are refused, and the log says why" bridges_refused
else
	skip "bridges are refused, and the log says why" "no bridge"
fi
if [ "$flr" ] && [ -e $pciback/do_flr ]; then
	check "a function that has lost its BARs is refused" without_bars
	check "ten seizures and returns leave no memory behind" leaves_nothing $flr
else
	for point in "a function that has lost its BARs is refused" \
		     "ten seizures and returns leave no memory behind"; do
		skip "$point" "no function with FLR, or the stock driver"
	done
fi
finish
