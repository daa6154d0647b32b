#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Which domains may have the OpRegion of an Intel GPU mapped. A PV guest plays a stub
# domain, and asks Xen to map pages to its guest. Would catch: a stub domain that may not
# map what its guest's driver wants, one that may map more than that or longer than its
# guest has the GPU, and an error that is not told.
#
# LONG=yes: also let each call fail.

. "${0%/*}/ktap.sh"
. "${0%/*}/toolstack"
. "${0%/*}/guests"

gpu=0000:00:02.0
wants $gpu
asls=$((0x$(setpci -s $gpu fc.l)))
first=$((asls >> 12))
# 8 KiB, and an extended VBT of 9 KiB.
pages=5
range=$(printf '%x-%x' $first $((first + pages - 1)))

# What debug-keys say of a domain.
permitted() { # NAME
	dump q "'q' pressed" | awk -v domain=$(xl domid $1) '
		/Rangesets belonging to domain/ { sub(":", "", $NF); found = $NF == domain }
		found && /I\/O Memory/ { sub(/.*I\/O Memory *[{] */, ""); sub(/ *}.*/, ""); print }'
}

may() { # NAME RANGE
	[ "$(permitted $1)" = "$2" ]
}

both_may() { # RANGE
	may stub "$1" && may target "$1"
}

# Where the guest has nothing, each page at an address of its own.
map() { # PAGE PAGES
	guest-exec stub -c "map-memory $(xl domid target) $((0xe0000 + $1 - first)) $1 $2"
}

start() {
	# Linux reads a register of AMD's chip sets, which a PV guest cannot.
	guest-run --name stub --keep --cmdline initcall_blacklist=print_s5_reset_status_mmio --option 'type = "pv"' --option 'passthrough = "disabled"' \
		"$(echo modprobe xen-privcmd unrestricted=1 | in_guest)" || die "no PV guest"
	idle_guest target || die "no target"
	python3 -c '
import ctypes
import sys
xc = ctypes.CDLL(sys.argv.pop(1))
xc.xc_interface_open.restype = ctypes.c_void_p
sys.exit(xc.xc_domain_set_target(ctypes.c_void_p(xc.xc_interface_open(None, None, 0)), *map(int, sys.argv[1:])))
' "$(ldd "$(command -v xl)" | awk '/libxenctrl/ { print $3 }')" $(xl domid stub) $(xl domid target) || die "Xen takes no target"
	xenstore-write /local/domain/$(xl domid stub)/target $(xl domid target)
	assignable $gpu
	both_may "" || die "stub: $(permitted stub), target: $(permitted target)"
	same "before" "Operation not permitted" "$(map $first 1)"
}

stop() {
	gone
	xl destroy stub
	xl destroy target
}

exactly_that() {
	backend_only $gpu
	wait_for 10 both_may "$range"
	same "all" mapped "$(map $first $pages)"
	for page in $first $((first + pages - 1)); do
		same "page $page" mapped "$(map $page 1)"
	done
	for page in $((first - 1)) $((first + pages)) 0 256; do
		same "page $page" "Operation not permitted" "$(map $page 1)"
	done
	same "more pages" "Operation not permitted" "$(map $first $((pages + 1)))"
}

# The target keeps what it has by itself.
until_it_is_taken() {
	both_may "$range" || die "nobody may"
	(plays $(xl domid target) && backend_only $gpu)
	sleep 1
	xenstore-rm $backend
	wait_for 10 may stub ""
	wait_for 10 may target "$range"
	taken
	same "after" "Operation not permitted" "$(map $first 1)"
}

refused() { # DOMAIN
	log | grep -q "domain $1 gets no permission for the OpRegion (EINVAL)"
}

# Whoever changes the permissions of dom0 can take them, too. Xen's own domains begin at 0x7ff0.
no_guest() {
	target=/local/domain/$(xl domid stub)/target
	has=$(permitted Domain-0)
	for domain in 0 $((0x7ff0)) $((0x7ff1)) $((0x7ff2)); do
		echo "igd: domain $domain" >/dev/kmsg
		(plays $domain && backend_only $gpu)
		wait_for 10 refused $domain
		xenstore-rm /local/domain/0/backend/pci/$domain
	done
	marker="igd: a target"
	echo "$marker" >/dev/kmsg
	xenstore-write $target 0
	backend_only $gpu
	wait_for 10 refused 0
	xenstore-rm $backend
	xenstore-write $target $(xl domid target)
	wait_for 10 both_may ""
	same "dom0's permissions" "$has" "$(permitted Domain-0)"
}

# The guest has the GPU itself, and the OpRegion is mapped to it, as QEMU in dom0 does.
promised() {
	backend_only $gpu
	wait_for 10 both_may "$range"
	same "as QEMU does" mapped "$(guest-exec stub -c "map-memory $(xl domid target) 0xfdffc $first 3")"
	xenstore-rm $backend
	wait_for 10 both_may ""
	(plays $(xl domid target) && backend_only $gpu)
	wait_for 10 may target "$range"
	setpci -s $gpu fc.l
}

taken() {
	xenstore-rm /local/domain/0/backend/pci/$(xl domid target)
	wait_for 10 both_may ""
}

# hvmloader asks for a BAR. Only that makes the copy, and once.
copied() {
	message="domain $(xl domid target) has a copy of the OpRegion"
	promised
	! log | grep "$message" || die "it has it already"
	setpci -s $gpu 10.l
	log | grep "$message" || die "$(log | tail -n 5)"
	setpci -s $gpu fc.l 10.l
	same "copies" 1 "$(log | grep -c "$message")"
	taken
}

copy_failures() {
	fault=/sys/module/xen_pcidev/parameters/fault
	n=0 left=0
	while [ $left = 0 ]; do
		n=$((n + 1))
		promised
		echo "igd: failure $n" >/dev/kmsg
		echo $n >$fault
		setpci -s $gpu 10.l
		left=$(cat $fault)
		echo 0 >$fault
		# It is told once, and not tried again.
		setpci -s $gpu 10.l
		said=$(log | sed -n "/igd: failure $n\$/,\$p")
		case $left,$said in
		0,*"has a copy of the OpRegion"*) die "failure $n was forgotten: $said" ;;
		0,*"keeps the OpRegion of the host"* | 0,*"has no OpRegion any more"* | [1-9]*) ;;
		*) die "failure $n was not told: $said" ;;
		esac
		taken
	done
	[ $n -gt 6 ] || die "only $n failures"
}

# The device model of another guest has mapped something where the VBT has to be. Ends the target.
no_room() {
	backend_only $gpu
	wait_for 10 both_may "$range"
	same "at 0xfe100000" mapped "$(guest-exec stub -c "map-memory $(xl domid target) 0xfe100 $first 1")"
	xenstore-rm $backend
	wait_for 10 both_may ""
	backend_only $gpu
	wait_for 10 eval 'log | grep "domain $(xl domid target) gets no extended VBT (ENOMEM)"'
	xenstore-rm $backend
}

told() {
	log | sed -n "/igd: failure $n\$/,\$p" |
		grep -qE "cannot read backend/pci|gets no permission for the OpRegion|gets no extended VBT|may still have an OpRegion mapped|the next owner finds"
}

done_or_told() { # RANGE
	told || both_may "$1"
}

# Each call that can fail when the nodes come, and when they go. The next change mends it.
failures() {
	fault=/sys/module/xen_pcidev/parameters/fault
	n=0 left=0
	while [ $left = 0 ]; do
		n=$((n + 1))
		echo "igd: failure $n" >/dev/kmsg
		echo $n >$fault
		backend_only $gpu
		wait_for 5 done_or_told "$range"
		xenstore-rm $backend
		wait_for 5 done_or_told ""
		left=$(cat $fault)
		echo 0 >$fault
		[ $left != 0 ] || told || die "failure $n was not told: $(log)"
		backend_only $gpu
		wait_for 10 both_may "$range"
		xenstore-rm $backend
		wait_for 10 both_may ""
	done
	[ $n -gt 6 ] || die "only $n failures"
}

returned_gpu() {
	stop
	wait_for 10 returned $gpu
}

plan 9
check "nobody may have an OpRegion mapped by itself" start
plays $(xl domid stub)
check "a stub domain may map OpRegion and VBT to its guest, and nothing else" exactly_that
check "until the GPU is taken from it" until_it_is_taken
check "neither dom0 nor a domain of Xen's own gets a permission, or loses one" no_guest
check "a guest whose device model is in dom0 gets a copy of the OpRegion" copied
long "if anything fails, that is told, and the next change mends it" failures
long "so is a copy that fails" copy_failures
check "if the guest has no room for the VBT, that is told" no_room
check "the GPU can be returned" returned_gpu
finish
