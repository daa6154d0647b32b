#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# The backend side of XenStore, with a toolstack and a guest that this script
# plays. Would catch: a function that is added later and never exported, one of
# several that is not given back, a guest's death that leaves a function taken,
# and a guest that makes xen-pciback map, bind, write or log anything.

. "${0%/*}/ktap.sh"
. "${0%/*}/toolstack"

one_guest() {
	assign $a
	node state 3
	node state-0 3
	node vdev-0 0000:00:00.00
	node root_num 1
	node root-0 0000:00
	is $a "assigned $guest"
	gone
	is $a clean
	same "what is left" "" "$(xenstore-ls $backend 2>/dev/null)"
}

later() {
	assign $a
	is $a "assigned $guest"
	add $b
	node state-1 3
	node vdev-1 0000:00:01.00
	is $b "assigned $guest"
	add $c
	node state-2 3
	node state 3
	is $c "assigned $guest"
	detach_first
	is $a clean
	is $b "assigned $guest"
	is $c "assigned $guest"
	gone
	is $b clean
	is $c clean
}

next_guest() {
	assign $a $b
	is $b "assigned $guest"
	gone
	# At once, before the functions were reset.
	assign $b $a
	is $a "assigned $guest"
	node state-1 3
	gone
	is $a clean
}

closing() {
	assign $a
	node state 3
	xenstore-write $backend/online 0 $backend/state 5
	node state 6
	is $a clean
	gone
}

refuses() {
	assign $a 0000:00:1e.7 nonsense
	node state-0 3
	within "complaint" 0 sh -c "dmesg | grep -q 'cannot assign 0000:00:1e.7 to domain .*: xen-pciback does not have it'; echo \$?"
	within "complaint" 0 sh -c "dmesg | grep -q 'dev-2 is no address'; echo \$?"
	xenstore-write $backend/opts-0 changed
	sleep 1
	same "complaints of dev-2" 1 "$(log | grep -c 'dev-2 is no address')"
	xenstore-write $backend/num_devs 4294967295
	within "complaint" 0 sh -c "dmesg | grep -q 'cannot follow.*$guest'; echo \$?"
	is $a "assigned $guest"
	gone
	is $a clean
}

# Whatever a guest writes to its own side.
hostile() {
	assign $a
	is $a "assigned $guest"
	before=$(grep -c . /proc/interrupts)
	lines=$(dmesg | wc -l)
	# Other nodes of the backend are the toolstack's.
	nodes=$(xenstore-ls $backend)
	for state in 2 3 4 5 6 7 8 9 -1 4294967296 x "" 0; do
		xenstore-write $frontend/pci-op-ref 8 $frontend/event-channel 1 $frontend/magic 7 $frontend/state "$state"
	done
	i=0
	while [ $i -lt 200 ]; do
		xenstore-write $frontend/state 3 $frontend/state 4 $frontend/state 7
		i=$((i + 1))
	done
	xenstore-rm $frontend/state
	sleep 1
	same "what the backend has" "$nodes" "$(xenstore-ls $backend)"
	same "event channels" "$before" "$(grep -c . /proc/interrupts)"
	is $a "assigned $guest"
	[ $(($(dmesg | wc -l) - lines)) -le 1 ] || die "the log is flooded: $(dmesg | tail -n 5)"
	gone
	is $a clean
}

# While a function of one guest is reset, XenStore's thread goes on.
not_in_the_way() {
	seen=$(ps -eo pid,comm | awk '$2 == "xenwatch" { print $1 }')
	echo __pci_reset_function_locked >$tracing/set_ftrace_filter
	echo function >$tracing/current_tracer
	echo >$tracing/trace
	assign $a $b
	is $b "assigned $guest"
	gone
	is $a clean
	is $b clean
	resets=$(grep -v '^#' $tracing/trace)
	echo nop >$tracing/current_tracer
	same "resets" 2 "$(echo "$resets" | wc -l)"
	! echo "$resets" | grep xenwatch || die "a reset on XenStore's thread, $seen"
}

in_use() {
	assign $a
	is $a "assigned $guest"
	! rmmod xen_pciback 2>/dev/null || die "the module could be unloaded"
	gone
	is $a clean
	# Without a frontend, xenbus has no device that would keep the module.
	backend_only $a
	is $a "assigned $guest"
	! rmmod xen_pciback 2>/dev/null || die "the module could be unloaded without a frontend"
	gone
	is $a clean
}

taken_away() {
	assign $a
	is $a "assigned $guest"
	echo $a >$pciback/unbind
	log | grep -q "$a: unbound while assigned to domain $guest" || die "the log does not say so"
	! echo $a >$pciback/bind 2>/dev/null || die "bound again though the guest has it"
	gone
	sleep 1
	echo $a >$pciback/bind
	is $a clean
}

# The last access of a guest comes after the unbinding: until it is gone, its device model can start
# the function again.
reset_after() {
	assign $a
	is $a "assigned $guest"
	echo $a >$pciback/unbind
	echo $a >$pciback/do_flr || die "do_flr fails"
	setpci -s $a COMMAND=7
	echo __pci_reset_function_locked >$tracing/set_ftrace_filter
	echo function >$tracing/current_tracer
	echo >$tracing/trace
	gone
	sleep 1
	same "resets" 1 "$(grep -c __pci_reset_function_locked $tracing/trace)"
	echo nop >$tracing/current_tracer
	same "COMMAND" 0400 "$(setpci -s $a COMMAND)"
	echo $a >$pciback/bind
	is $a clean
}

# Toolstacks make one directory for each guest, which is 0.
another_number() {
	assign $a
	is $a "assigned $guest"
	other=${backend%/0}/1
	xenstore-write $other/num_devs 0 $other/state 1
	sleep 1
	is $a "assigned $guest"
	xenstore-write $other/num_devs 1 $other/dev-0 $b $other/state-0 1 $other/state 7
	sleep 1
	is $b clean
	xenstore-rm $other
	sleep 1
	is $a "assigned $guest"
	gone
	is $a clean
}

tracing=/sys/kernel/tracing
[ -e $pciback ] && command -v xenstore-write >/dev/null && in_vm || skip_all "needs our own machine"
set -- $(spare_functions routed has_msix)
[ $# -ge 3 ] || skip_all "needs three unused functions"
a=$1 b=$2 c=$3

plan 12
for function in $a $b $c; do seize $function; done
check "a guest's function is exported, and free after its death" one_guest
check "functions that are added later are exported, and one of several given back" later
check "the next guest can have them at once" next_guest
check "a backend that is to close closes" closing
check "what a guest cannot have is refused, and told" refuses
if [ -e $pciback/do_flr ]; then
	check "nothing that a guest writes has an effect" hostile
else
	skip "nothing that a guest writes has an effect" "not for the stock driver"
fi
check "no reset runs on XenStore's thread" not_in_the_way
check "the module stays while a guest has a function" in_use
check "a function is taken from a guest, and kept from others until that has gone" taken_away
if [ -e $pciback/do_flr ]; then
	check "such a function is reset when the guest is gone" reset_after
	check "a directory with another number changes nothing" another_number
else
	skip "such a function is reset when the guest is gone" "not for the stock driver"
	skip "a directory with another number changes nothing" "not for the stock driver"
fi
give_back() { echo $1 >$pciback/unbind && echo $1 >$pciback/remove_slot; }
functions="$a $b $c"
check "all are returned" each give_back
finish
