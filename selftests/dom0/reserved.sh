#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# The memory that firmware reserved for functions; here Xen's command line stands in for
# firmware. Would catch: regions that are missing, in Xen's order, cut to the caller's room
# without a word, or those of another function, and a doctor that does not know who shares one.

. "${0%/*}/ktap.sh"
. "${0%/*}/guests"

first=0000:03:00.0 second=0000:03:00.1 alone=0000:02:00.0

regions() {
	same "first" "$first count=2 0x7fff0000+0x1000 0x7fff4000+0x2000" "$(ask reserved 8 $first)"
	same "second" "$second count=1 0x7fff4000+0x2000" "$(ask reserved 8 $second)"
	same "alone" "$alone count=0" "$(ask reserved 8 $alone)"
}

room() {
	for room in 0 1; do
		same "room for $room" "$first count=2 ENOSPC" "$(ask reserved $room $first)"
	done
	same "room for 2" "$first count=2 0x7fff0000+0x1000 0x7fff4000+0x2000" "$(ask reserved 2 $first)"
	same "none" "$alone count=0" "$(ask reserved 0 $alone)"
}

absent() {
	same "absent" "0000:7f:1f.7 count=0 ENODEV" "$(ask reserved 8 0000:7f:1f.7)"
}

# The function, and those that it shares a region with.
sharing() {
	python3 -IS -c '
import json, sys
for group in json.load(sys.stdin):
    print(group["sbdf"], *group["shares_rmrr"])'
}

grouped() {
	same "those that share" "$(printf '%s\n' $alone "$first $second" "$second $first")" \
		"$(pcidev groups $first $second $alone --json | sharing)"
	pcidev groups | grep -q "^FUNCTION .*SHARES RMRR" || die "$(pcidev groups)"
}

examined() {
	# In one line.
	report=$(pcidev doctor $first $alone | tr -s ' \n' ' ')
	case $report in
	*"reserved-memory: firmware reserved memory (0x7fff0000-0x7fff0fff, 0x7fff4000-0x7fff5fff) for it"*) ;;
	*) die "$report" ;;
	esac
	same "findings" 1 "$(echo "$report" | grep -o reserved-memory: | wc -l)"
	case $report in *'each with "SBDF,rdm_policy=relaxed"'*) ;; *) die "$report" ;; esac
}

guest_with() { # POLICY
	cat >$tmp/$1.cfg <<-END
		type = "hvm"
		name = "$1"
		memory = 64
		pci = ["$first,rdm_policy=$1"]
		vga = "none"
		vnc = 0
	END
	guest-create $tmp/$1.cfg
}

not_given() {
	! xenstore-ls /local/domain/0/backend/pci | grep -q $first
}

# What the doctor says that Xen does. The other function need not be assignable.
as_xen_does() {
	assignable $first
	xl dmesg -c >/dev/null
	! guest_with strict 2>&1 || die "Xen takes it"
	xl dmesg | grep "disallowed to assign $first with shared RMRR at 7fff4000" || die "$(xl dmesg | tail)"
	xl destroy strict 2>/dev/null
	wait_for 10 not_given
	guest_with relaxed 2>&1 || die "Xen refuses it all the same: $(xl dmesg | tail)"
	xl dmesg | grep "risky to assign $first with shared RMRR at 7fff4000" || die "$(xl dmesg | tail)"
	xl destroy relaxed
	wait_for 10 not_given
	returned $first
}

[ -e /dev/xen/pcidev ] && in_vm && [ -e $devices/$second ] || skip_all "see tests.toml"

plan 6
check "each function has the regions that firmware reserved for it, in ascending order" regions
check "a caller with too little room is told how many there are" room
check "an absent function is ENODEV" absent
check "pcidev groups knows those that share a region" grouped
check "pcidev doctor says what their guest needs" examined
long "Xen refuses those that share a region, unless the policy is relaxed" as_xen_does
finish
