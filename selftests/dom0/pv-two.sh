#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# A PV guest with two functions that are not independent: of one card, or on one line. Would catch:
# one that goes deaf when the other leaves, and what both leave behind.

. "${0%/*}/ktap.sh"
. "${0%/*}/guests"
. "${0%/*}/pv-guests"
. "${0%/*}/pv-uses"

card0=0000:00:06.0 mac3=52:54:00:00:00:03 net3=10.0.4
card1=0000:00:06.1 mac4=52:54:00:00:00:04 net4=10.0.5
wants $nic1 $nic2 $card0 $card1

both_come() { # SBDF ADDRESS SBDF ADDRESS
	comes p $1 $3 && has_function p $2 && has_function p $4
}

both_ping() { # MODE KIND MAC NETWORK MAC NETWORK
	load_nics $1 | tell p && can_ping p $3 $4 "$2" && can_ping p $5 $6 "$2" && keeps_pinging p $6
}

first_leaves() { # KIND SBDF ADDRESS MAC NETWORK (of the other)
	detached p $2 $3
	can_ping p $4 $5 "$1" || die "the other is deaf"
}

first_returns() { # KIND SBDF ADDRESS MAC NETWORK MAC NETWORK
	attached p $2 $3
	can_ping p $4 $5 "$1" || die "it is deaf"
	can_ping p $6 $7 "$1" && has_pinged p 3 || die "the other is deaf"
}

both_end() { # SBDF SBDF
	xl destroy p && until_gone p && free $1 && free $2 && nothing_left
}

on_one_line() {
	same "the GSI of $nic2" "$(get-gsi $nic1)" "$(get-gsi $nic2)"
	both_come $nic1 0000:00:00.0 $nic2 0000:00:01.0
}

plan 13
assignable $nic1 $nic2 $card0 $card1
check "dom0 pings by all" nics_in_dom0 0 "$dom0_intx" \
	$nic1 $mac1 $net1 $nic2 $mac2 $net2 $card0 $mac3 $net3 $card1 $mac4 $net4
idle=$(counts_of_guests)
check "a PV guest gets two functions of a card, as one card" both_come $card0 0000:00:00.0 $card1 0000:00:00.1
check "both ping by MSI-X" both_ping 2 "$pcifront_msix" $mac3 $net3 $mac4 $net4
check "the second pings while the first leaves" first_leaves "$pcifront_msix" $card0 0000:00:00.0 $mac4 $net4
check "the first comes back and pings, the second has pinged all the time" \
	first_returns "$pcifront_msix" $card0 0000:00:00.0 $mac3 $net3 $mac4 $net4
check "the guest is destroyed, and nothing is left" both_end $card0 $card1
check "dom0 pings by both" nics_in_dom0 2 "$msix" $card0 $mac3 $net3 $card1 $mac4 $net4
check "a PV guest gets two functions on one line" on_one_line
check "both ping by INTx" both_ping 0 "$pcifront_intx" $mac1 $net1 $mac2 $net2
check "the second on the line pings while the first leaves" first_leaves "$pcifront_intx" $nic1 0000:00:00.0 $mac2 $net2
check "the first on the line comes back and pings, the second has pinged all the time" \
	first_returns "$pcifront_intx" $nic1 0000:00:00.0 $mac1 $net1 $mac2 $net2
check "the guest with both is destroyed, and nothing is left" both_end $nic1 $nic2
check "dom0 pings by both on the line" nics_in_dom0 0 "$dom0_intx" $nic1 $mac1 $net1 $nic2 $mac2 $net2
returned $nic1 $nic2 $card0 $card1
finish
