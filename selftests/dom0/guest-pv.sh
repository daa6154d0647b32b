#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# PV guests with functions: one that is turned away, one that is served, and one that sends
# nonsense. Would catch: a guest that waits for minutes when it loads its frontend, one that gets no
# interrupts of a kind or loses them when it loads its driver again, a function that is not returned
# or of no use to its next owner, and whatever a hostile guest can do to dom0 in some seconds.
#
# LONG=yes: hostile guests, guests of both kinds by turns, a crash, and the host's addresses, too.

. "${0%/*}/ktap.sh"
. "${0%/*}/guests"
. "${0%/*}/pv-guests"

wants $nic1 $ahci $edu

told() {
	log | grep "domain $(xl domid p) is a PV guest, which is not served"
	same "lines" 1 "$(log | grep -c "is a PV guest")"
	same "state" "assigned $(xl domid p)" "$(cat $devices/$nic1/pciback/state)"
}

freed() {
	xl destroy p && free $nic1
}

removes_frontend() {
	pv_guest p && tell p <<-'END' || return
		hostile-store 1 60 -r device/pci/0 >/run/removed 2>&1 &
		sleep 1
		grep tried /run/removed
	END
	xl pci-attach p $nic1
	wait_for 10 grep -qx "assigned $(xl domid p)" $devices/$nic1/pciback/state
	! xenstore-exists /local/domain/$(xl domid p)/device/pci/0 || die "it has not removed its frontend"
	destroy_unconnected p $nic1
}

never_loads() {
	pv_guest p $nic1 && destroy_unconnected p $nic1
}

# Whatever becomes of it. With its last function it would lose its directories, and begin anew.
with_guest() { # COMMAND
	pv_guest p $nic1 $edu || return
	("$@")
	result=$?
	destroy_unconnected p $nic1 && free $nic1 && return $result
}

# It has offered itself, and does nothing more.
stays_unserved() {
	frontend_does p stays 10 -s device/pci/0 3 && changes_hands
}

# It is served, and lets go of its functions for ever.
stays_reconfiguring() {
	frontend_does p stays 10 -s device/pci/0 3 7 && changes_hands
}

changes_hands() {
	detaches p $nic1 && xl pci-attach p $nic1 || return
	wait_for 5 grep -qx "assigned $(xl domid p)" $devices/$nic1/pciback/state
	detaches p $nic1
}

# Each time the driver is loaded anew.
ping_by() { # MODE KIND
	tell p <<-END
		modprobe e1000e IntMode=$1
		(pings $mac1 $net1 '$2')
		status=\$?
		[ \$status = 0 ] || dmesg | tail -n 20
		rmmod e1000e
		exit \$status
	END
}

# As libxl does it before it takes a function away. What the guest has mapped still answers
# (XSA-120), but the guest cannot allow DMA again.
is_leaving() {
	echo $nic1 >$pciback/do_flr
	same "COMMAND" 0403 "$(setpci -s $nic1 COMMAND)"
	echo 'setpci -s 0:0.0 COMMAND=4 || :' | tell p
	same "COMMAND" 0403 "$(setpci -s $nic1 COMMAND)"
}

detached() {
	xl pci-detach p $nic1 || die "not detached"
	wait_for 10 grep -qx clean $devices/$nic1/pciback/state
	! tell p <<-'END' || die "the guest still sees it"
		[ -e /sys/bus/pci/devices/0000:00:00.0/vendor ]
	END
}

# It may have kept the registers mapped.
dom0_is_warned() {
	returned $nic1
	warned 1
	assignable $nic1
}

warned() { # TIMES
	same "warnings" $1 "$(log | grep -c "$nic1: domain .* still runs, and may reach its registers")"
}

attached() {
	xl pci-attach p $nic1 && has_function p 0000:00:00.0
}

# It goes on to use it.
uses() {
	tell p <<-END
		modprobe e1000e
		(pings $mac1 $net1 '$msix') || exit
		busybox ping $net1.2 >/dev/null 2>&1 &
	END
}

attached_and_used() {
	attached && uses
}

crashes() {
	pv_guest p $nic1 $ahci && loads_frontend p && has_function p 0000:00:00.0 && uses || return
	echo '(sleep 1; echo c >/proc/sysrq-trigger) &' | tell p
	until_gone p && free $nic1
}

# As a device model in a stub domain does: one kind at a time.
controls_interrupts() {
	assignable $nic1
	echo $nic1 >$pciback/allow_interrupt_control
	pv_guest p $nic1 && loads_frontend p && has_function p 0000:00:00.0 || return
	msi_by 1
	same "MSI, with INTx" 0 $(enabled)
	tell p <<-'END'
		setpci -s 0:0.0 COMMAND=400
	END
	msi_by 1
	tell p <<-'END'
		setpci -s 0:0.0 CAP_MSIX+2.w=8000 || :
	END
	same "MSI" 1 $(enabled)
	msi_by 0
	tell p <<-'END'
		setpci -s 0:0.0 CAP_MSIX+2.w=8000
	END
	same "MSI-X" 8000 $(enabled)
	msi_by 1
	same "MSI, with MSI-X" 8000 $(enabled)
	tell p <<-'END' || die "the pirq of its line is not where a device model looks for it"
		line=$((0x$(setpci -s 0:0.0 INTERRUPT_LINE)))
		[ $line -gt 0 ] && [ $line = $(cat /sys/bus/pci/devices/0000:00:00.0/irq) ]
	END
	freed
	same "allowed" "" "$(cat $pciback/allow_interrupt_control)"
}

msi_by() { # VALUE
	echo "setpci -s 0:0.0 CAP_MSI+2.w=$1 || :" | tell p
}

# In the function: the bits of MSI and MSI-X.
enabled() {
	printf '%x\n' $((0x$(setpci -s $nic1 CAP_MSI+2.w) & 1 | 0x$(setpci -s $nic1 CAP_MSIX+2.w) & 0x8000))
}

# Its functions have the host's addresses.
sees_real_addresses() {
	returned $nic1 $ahci
	rmmod xen-pciback && modprobe xen-pciback passthrough=1 || return
	pv_guest p $nic1 $ahci && loads_frontend p && has_function p $nic1 && has_function p $ahci && uses && freed || return
	returned $nic1 $ahci
	rmmod xen-pciback && modprobe xen-pciback && assignable $nic1 $ahci
}

# Registers that are the backend's: COMMAND, a BAR, MSI-X, MSI.
registers() {
	tell p <<-'END'
		bar=$(setpci -s 0:0.0 BASE_ADDRESS_0)
		setpci -s 0:0.0 COMMAND=0 BASE_ADDRESS_0=ffffffff CAP_MSIX+2.w=c000 CAP_MSI+2.w=1
		echo "$(setpci -s 0:0.0 COMMAND BASE_ADDRESS_0 CAP_MSIX+2.w CAP_MSI+2.w | tr '\n' ' ')"
		setpci -s 0:0.0 BASE_ADDRESS_0=$bar
	END
}

registers_are_virtual() {
	before=$(setpci -s $nic1 COMMAND BASE_ADDRESS_0)
	same "what the guest sees" "0000 fffe0000 0003 0080 " "$(registers)"
	same "what the function has" "$before" "$(setpci -s $nic1 COMMAND BASE_ADDRESS_0)"
}

hostile_guest() {
	lines=$(log | grep -c pciback)
	attacks p 60 3000 || die "$(cat $tmp/attacks)"
	[ $(counted_attacks answered) -ge 3000 ] || die "few answers: $(cat $tmp/attacks)"
	same "lines in the log" $lines "$(log | grep -c pciback)"
}

# By Xen's word, it is no PV guest.
hvm_guest_is_not_served() {
	start_guest p "" $nic1 >/dev/null && can_ping p $mac1 $net1 "$msix" || return
	before=$(grep -c . /proc/interrupts)
	attacks p 5 3000 || die "$(cat $tmp/attacks)"
	same "answers" 0 "$(counted_attacks answered)"
	same "event channels" "$before" "$(grep -c . /proc/interrupts)"
	freed
}

# As hostile guests do: they bind the line of a NIC, which another one shares, so that Xen lets
# nobody share it. dom0 gets it back when the first loses the NIC, and when the second ends.
takes_a_line() {
	gsi=$(cat $devices/$nic1/xen/gsi)
	same "the GSI of $nic2" $gsi "$(cat $devices/$nic2/xen/gsi)"
	modprobe e1000e
	echo $nic2 >$drivers/e1000e/unbind
	has_it_alone 1 || return
	xl pci-detach p $nic1 || die "not detached"
	dom0_gets_it 1
	xl destroy p && until_gone p
	has_it_alone 2 || return
	xl destroy p && until_gone p
	dom0_gets_it 2
	modprobe -r e1000e
	returned $nic1
}

has_it_alone() { # TIMES
	pv_guest p $nic1 && loads_frontend p && has_function p 0000:00:00.0 && tell p <<-'END' || return
		modprobe xen-privcmd unrestricted=1
		bind-pirq $((0x$(setpci -s 0:0.0 INTERRUPT_LINE)))
	END
	echo $nic2 >$drivers/e1000e/bind
	same "refusals" $1 "$(log | grep -c "GSI $gsi: Xen does not bind it to dom0")"
	! dom0_has_line $gsi || die "dom0 has it in Xen"
}

dom0_gets_it() { # TIMES
	wait_for 10 dom0_has_line $gsi
	same "times that dom0 has it again" $1 "$(log | grep -c "GSI $gsi: dom0 has it again")"
	echo $nic2 >$drivers/e1000e/unbind
}

plan 32
serve N
check "a PV guest comes up" pv_guest p $nic1
check "its frontend is told that nobody serves it" loads_frontend p
check "so is the administrator, once" told
check "it ends, and the function is free" freed
check "a guest that never loads its frontend ends, and the function is clean" never_loads
long "so it is if a guest removes its frontend before anybody has seen it" removes_frontend
long "it offers itself for ever, and toolstacks take functions from it and give it some" with_guest stays_unserved
serve Y
long "so they do if it is served, and lets go of its functions for ever" with_guest stays_reconfiguring
check "another PV guest comes up" pv_guest p $nic1 $ahci $edu
check "its frontend connects" loads_frontend p
check "it finds its functions" has_function p 0000:00:00.0
for round in 1 2 3; do
	check "it pings by MSI-X, load $round of the driver" ping_by 2 "$msix"
done
check "it pings by INTx" ping_by 0 'xen-pirq.*-pcifront '
check "it reads a disk by MSI" reads_by_msi p
check "its lines do not wait for dom0" has_fast_lines p
long "it tries MSI where MSI-X is held, and pings" ping_by 1 'xen-pirq.*-pcifront'
check "the registers of the backend are virtual" registers_are_virtual
check "it does not reach a function for which a toolstack has asked for a reset" is_leaving
check "it loses its function" detached
check "dom0, which gets it meanwhile, is warned" dom0_is_warned
check "it gets it again, and pings by MSI-X" attached_and_used
long "it sends nonsense, gets answers, and the log none (XSA-43, XSA-155, XSA-157, XSA-332)" hostile_guest
check "it is destroyed in use, and the function is free" freed
long "another crashes in use, and the function is free" crashes
long "with allow_interrupt_control another enables one kind of interrupts at a time" controls_interrupts
long "with passthrough=1 a PV guest sees the host's addresses, and pings" sees_real_addresses
long "an HVM guest gets the function, and is not served" hvm_guest_is_not_served
check "returned, it pings in dom0 by MSI-X" nic_in_dom0
check "nobody else is warned" warned 1
returned $ahci
long "one that takes a line for itself alone keeps it until it loses the function or ends" takes_a_line
returned $edu
finish
