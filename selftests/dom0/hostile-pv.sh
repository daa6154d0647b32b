#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# PV guests that send nonsense to the backend that serves them, many thousand times. Would
# catch: harm to dom0 (on a debug kernel, any fault that it looks for), lines in the log for each
# request, another guest that has to wait, and a trace of it in the function when the next one
# gets it.
#
# HOSTILE_ANSWERS: how many requests are to be answered. HOSTILE_SEED: so as to send the same again.

. "${0%/*}/ktap.sh"
. "${0%/*}/guests"
. "${0%/*}/pv-guests"
. "${0%/*}/picture"

answers=${HOSTILE_ANSWERS:-2000} seconds=${HOSTILE_SECONDS:-600}
reconnects=$((10 + answers / 5000))
export HOSTILE_SEED=${HOSTILE_SEED:-$(od -An -N4 -tu4 /dev/urandom | tr -d ' ')}
wants $nic1 $nic2 $ahci

fresh() {
	assignable $nic1 $ahci
	free $nic1
	hardware $nic1 >$tmp/fresh
	grep -q 'register 010 ' $tmp/fresh || die "no picture: $(cat $tmp/fresh)"
}

bystander_comes() {
	pv_guest b $nic2 && loads_frontend b && has_function b 0000:00:00.0 || return
	echo "modprobe e1000e && pings $mac2 $net2 '$msix'" | tell b && keeps_pinging b $net2
}

hostile_comes() {
	pv_guest p $nic1 $ahci && loads_frontend p && has_function p 0000:00:00.0
}

sends_nonsense() {
	log | grep -c . >$tmp/lines
	attacks p $seconds $answers || die "$(cat $tmp/attacks)"
	[ $(counted_attacks answered) -ge $answers ] && [ $(counted_attacks directed) -ge $((answers / 11)) ] &&
		[ $(counted_attacks 'done') -gt 0 ] || die "$(cat $tmp/attacks)"
}

log_is_quiet() {
	same "lines" "$(cat $tmp/lines)" "$(log | grep -c .)"
}

ends() {
	xl destroy p && free $nic1 && ! differs $tmp/fresh $nic1
}

# Its frontend connects again and again all the time.
reconnects() {
	pv_guest f $nic1 $ahci || return
	log | grep -c pciback >$tmp/lines
	frontend_does f connected $((reconnects + 60)) -r $HOSTILE_SEED $reconnects device/pci/0 || return
	moves || return
	frontend_ends f | tee $tmp/reconnects | grep -q 'answered [1-9]' || die "never served: $(cat $tmp/reconnects)"
}

# The disk stays: a guest that loses its last function begins anew with the next one.
moves() {
	for i in 1 2; do
		detaches f $nic1 && xl pci-attach f $nic1 || return
	done
}

# It is not served any more after the first wrong offer.
reconnects_wrongly() {
	frontend_does f connected $((reconnects + 60)) -w $HOSTILE_SEED $reconnects device/pci/0 || return
	moves || return
	frontend_ends f | tee -a $tmp/reconnects | grep '^connected'
}

# That of Xenbus for the wrong offer, and ours.
log_has_two_lines() {
	lines=$(($(log | grep -c pciback) - $(cat $tmp/lines)))
	[ $lines -le 2 ] || die "$lines lines: $(log | grep pciback | tail -n $lines)"
	xl destroy f && free $nic1 && ! differs $tmp/fresh $nic1
}

next_pings() {
	pv_guest n $nic1 && loads_frontend n && has_function n 0000:00:00.0 || return
	echo "modprobe e1000e && pings $mac1 $net1 '$msix'" | tell n || return
	xl destroy n && free $nic1
}

next_in_dom0() {
	xl destroy b && free $nic2 && nic_in_dom0 && returned $ahci $nic2
}

plan 12
check "a function is there" fresh
check "a PV guest has another one, and pings" bystander_comes
check "a PV guest gets the function, and a disk" hostile_comes
check "it sends nonsense, and gets answers (XSA-43, XSA-155, XSA-157, XSA-332)" sends_nonsense
tried "$(counted_attacks answered)" requests of a PV guest answered, seed $HOSTILE_SEED
tried "$(counted_attacks directed)" of these directed at its function
check "the log has no line of that" log_is_quiet
check "the other guest has pinged all the time" has_pinged b 3
check "the hostile one ends, and the function is as fresh as ever" ends
check "another connects again and again in every state, and toolstacks take functions from it" reconnects
check "so they do if it offers what it does not have" reconnects_wrongly
tried "$(sed -n 's/^connected \([0-9]*\).*/\1/p' $tmp/reconnects | awk '{ n += $1 } END { print n }')" connections of a hostile frontend
check "the log has two lines of that at most, and the function is as fresh as ever" log_has_two_lines
check "the next owner pings by MSI-X" next_pings
check "and so does dom0" next_in_dom0
finish
