#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# The same reads and writes, good and bad, on the stock driver and on ours. Would
# catch: any difference that toolstacks or administrators can see and that is not
# in interface.toml, with its reason.

. "${0%/*}/ktap.sh"
. "${0%/*}/kmemleak"

# Programs take long to start here, and this is asked hundreds of times.
say() { # LABEL COMMAND [ARG...]
	label=$1
	shift
	said=$("$@" 2>&1)
	(set -f; IFS='
'; set -- $said; IFS='|'; echo "$label: $*")
}

# The shell's own echo does not tell errors apart.
write() { # FILE TEXT
	error=$(/usr/bin/printf %b "$2" 2>&1 >"$1")
	echo "${error##*: }"
}

put() { # FILE TEXT
	say "$1 < '$2'" write "$pciback/$1" "$2"
}

get() { # FILE
	say "$1" cat "$pciback/$1"
}

gets() {
	for file in slots permissive allow_interrupt_control irq_handlers; do get $file; done
	# The fields of PV guests' configuration space come after.
	say quirks sh -c "head -n 2 $pciback/quirks"
}

transcript() {
	say files sh -c "ls $pciback | grep -v :"
	say modes sh -c "cd $pciback && stat -c '%n %a' *_slot slots quirks permissive allow* irq*"
	say parameters ls /sys/module/xen_pciback/parameters
	say hide cat /sys/module/xen_pciback/parameters/hide
	gets
	for bad in "x" "0000" "0000:00" "0000:00:04" "0000:00:04." "0000:00:04.8" "0000:00:20.0" "0000:100:04.0" \
		   "10000:00:04.0" "0000:00:04.0x" "0000:00:04.0 x" "0000:00:*.0" "*:*.*" "-1:00:04.0" "(0000:00:04.0)"; do
		for file in new_slot remove_slot permissive allow_interrupt_control irq_handler_state; do put $file "$bad"; done
	done
	for good in "$1" "${1#0000:}" " $1 \n" "$1\n" "0000:1f:1e.*" "1f:1d.*"; do
		put new_slot "$good"
	done
	say "slots, sorted" sh -c "sort $pciback/slots"
	put remove_slot "0000:1f:1e.*"
	put remove_slot "0000:1f:1e.*"
	put remove_slot "1f:1d.*"
	for absent in 0000:00:1e.7 ffff:ff:1f.7; do
		for file in remove_slot permissive allow_interrupt_control irq_handler_state bind unbind; do put $file $absent; done
		put quirks "$absent-40:1:ff"
	done
	gets
	put remove_slot $1
	put bind $1
	put new_slot $1
	put bind $1
	put bind $1
	gets
	for bad in "$1" "$1-" "$1-40" "$1-40:1" "$1-40:3:1" "$1-1000:1:1" "$1-40:1:100" "$1-40:2:10000" "x-40:1:1"; do
		put quirks "$bad"
	done
	put quirks "$1-40:4:ffffffff"
	say "quirk kept" grep -c 00000040:4:ffffffff $pciback/quirks
	put permissive $1
	put allow_interrupt_control $1
	put permissive "0000:00:*.*"
	gets
	put irq_handler_state $1
	get irq_handlers
	put irq_handler_state $1
	get irq_handlers
	put unbind $1
	gets
	put remove_slot $1
	get slots
	echo pciback >$devices/$1/driver_override
	say "bind by driver_override" sh -c "/bin/echo $1 2>&1 >/sys/bus/pci/drivers_probe; readlink $devices/$1/driver"
	get slots
	echo >$devices/$1/driver_override
	put unbind $1
	put remove_slot $1
	get slots
	rmmod xen_pciback
}

# On a kernel that looks for lost memory what the stock driver loses is forgotten, and
# so nothing of ours may be lost before.
with_stock() {
	rmmod xen_pciback
	[ ! -e $kmemleak ] || no_leak || die "lost before the stock driver came"
	insmod "$stock" || die "the stock driver does not load"
	transcript $spare | sed "s/$spare/SPARE/g" >$tmp/stock
	[ ! -e $kmemleak ] || { scan && echo clear >$kmemleak; }
	[ -s $tmp/stock ]
}

with_ours() {
	modprobe xen-pciback || die "ours does not load"
	[ -e $pciback/do_flr ] || die "this is not ours"
	transcript $spare | sed "s/$spare/SPARE/g" >$tmp/ours
	[ -s $tmp/ours ]
}

compare() {
	python3 -IS - $tmp/stock $tmp/ours "${0%/*}/interface.toml" <<-'END'
		import re, sys, tomllib
		stock, ours = ([line.rstrip("\n").partition(": ") for line in open(name)] for name in sys.argv[1:3])
		with open(sys.argv[3], "rb") as file:
		    known = tomllib.load(file)["difference"]
		assert [label for label, *_ in stock] == [label for label, *_ in ours], "not the same questions"
		unused = list(known)
		failed = False
		for (what, _, one), (_, _, other) in zip(stock, ours):
		    reasons = [d for d in known if d["why"] and re.fullmatch(d["what"], what)
		               and (d["stock"], d["ours"]) == (one, other)]
		    unused = [d for d in unused if d not in reasons]
		    if one != other and not reasons:
		        print(f"not in the list: {what}\n  stock = '{one}'\n  ours = '{other}'")
		        failed = True
		for d in unused:
		    print(f"in the list, but there is no such difference: {d['what']}")
		sys.exit(failed or bool(unused))
	END
}

stock=$(find /lib/modules/$(uname -r)/kernel -name 'xen-pciback.ko*' 2>/dev/null)
[ "$stock" ] && [ -e $pciback/do_flr ] || skip_all "needs both drivers, and ours loaded"
[ -z "$(ls $pciback | grep :)" ] || skip_all "xen-pciback has devices, for guests"
grep -q '^xen_pciback ' /proc/modules || skip_all "xen-pciback is not a loaded module"
spare=$(spare_functions routed has_msix | tail -n 1)
[ "$spare" ] || skip_all "no unused function"
tmp=$(mktemp -d)

plan 3
check "the stock driver is asked everything" with_stock
check "so is ours" with_ours
check "they differ in what interface.toml lists, and in nothing else" compare
modprobe xen-pciback
finish
