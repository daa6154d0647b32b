#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Functions that sleep (D3hot) while nobody has them. Would catch: one that a guest or dom0
# gets in its sleep, or without the configuration that it loses when it wakes up; a reset of
# its bus that does not reach it; MSI-X tables that are held too late; one that sleeps
# although nobody has asked for it.

. "${0%/*}/ktap.sh"
. "${0%/*}/toolstack"
. "${0%/*}/animals"

parameter=/sys/module/xen_pciback/parameters/idle_d3

# What the kernel believes and what the register says.
power() { # SBDF
	echo "$(cat $devices/$1/power_state) $(($(printf %d 0x$(config $1 CAP_PM+4.w)) & 3))"
}

sleeps() { # SBDF
	within "power state of $1" "D3hot 3" power $1
	same "COMMAND of $1" 0400 "$(config $1 COMMAND)"
	is $1 clean
}

stays_awake() { # SBDF
	sleep 1
	same "power state of $1" "D0 0" "$(power $1)"
}

bar() { # SBDF BAR: its address, as Linux has it
	sed -n "$(($2 + 1))s/^0x0*\([0-9a-f]*\) .*/\1/p" $devices/$1/resource
}

# It decodes the BAR of the zoo's registers, at its address in dom0.
decodes() { # SBDF BAR
	same "power state of $1" "D0 0" "$(power $1)"
	same "COMMAND of $1" 2 $(($(printf %d 0x$(config $1 COMMAND)) & 6))
	same "BAR $2 of $1" $(bar $1 $2) $(printf %x $((0x$(config $1 BASE_ADDRESS_$2) & ~15)))
	same "what BAR $2 of $1 reads" 0x314f4f5a "$(read_bar $1 $2 0)"
}

resets() { # NAME.NUMBER
	echo "$(fact $1 resets.flr) $(fact $1 resets.bus) $(fact $1 resets.pm)"
}

off_by_default() {
	same "parameter" N "$(cat $parameter)"
	seize $forgetful
	is $forgetful clean
	same "idle_d3" N "$(cat $devices/$forgetful/pciback/idle_d3)"
	stays_awake $forgetful
	decodes $forgetful 0
}

switched_on() {
	order forget nic-forgetful.0
	! echo maybe >$devices/$forgetful/pciback/idle_d3 2>/dev/null || die "nonsense is accepted"
	echo Y >$devices/$forgetful/pciback/idle_d3
	sleeps $forgetful
	same "idle_d3" Y "$(cat $devices/$forgetful/pciback/idle_d3)"
	same "resets" "0 0 0" "$(resets nic-forgetful.0)"
}

switched_off() {
	echo 0 >$devices/$forgetful/pciback/idle_d3
	within "power state" "D0 0" power $forgetful
	same "resets" "0 0 1" "$(resets nic-forgetful.0)"
	is $forgetful clean
	decodes $forgetful 0
	give_back $forgetful
}

by_parameter() {
	echo Y >$parameter
	seize $forgetful
	seize $slow
	sleeps $forgetful
	sleeps $slow
	for function in $display $sound $usbs $ucsi; do seize $function; done
	for function in $display $sound $usbs $ucsi; do sleeps $function; done
}

# A table is held from when the function is bound, and Xen wants it to decode for that.
held() {
	for function in $forgetful $slow; do
		same "MSI-X table of $function" held "$(cat $devices/$function/xen/msix)"
	done
}

# More is lost than the emulated function forgets by itself: QEMU keeps the BARs.
handed_over() {
	line=$(config $forgetful INTERRUPT_LINE)
	setpci -s $forgetful BASE_ADDRESS_0=0 BASE_ADDRESS_3=0 INTERRUPT_LINE=55
	same "BAR 0" 00000000 "$(config $forgetful BASE_ADDRESS_0)"
	order forget nic-forgetful.0
	assign $forgetful
	is $forgetful "assigned $guest"
	same "resets" "0 0 1" "$(resets nic-forgetful.0)"
	decodes $forgetful 0
	same "BAR 3" $(bar $forgetful 3) "$(printf %x $((0x$(config $forgetful BASE_ADDRESS_3) & ~15)))"
	same "interrupt line" $line "$(config $forgetful INTERRUPT_LINE)"
	stays_awake $forgetful
	gone
	sleeps $forgetful
	same "resets after the guest" "1 0 1" "$(resets nic-forgetful.0)"
}

state_is() { # SBDF STATE
	[ "$(cat $devices/$1/pciback/state)" = "$2" ]
}

# It has to be waited for twice: when it wakes up, and after its reset.
slow_to_wake() {
	order forget nic-slow.0
	assign $slow
	wait_for 30 state_is $slow "assigned $guest"
	same "resets" "0 0 1" "$(resets nic-slow.0)"
	same "it answers" true "$(fact nic-slow.0 answers)"
	decodes $slow 0
	gone
	wait_for 30 state_is $slow clean
	sleeps $slow
}

# libxl asks for a reset and then assigns the function, before it tells xen-pciback.
asked_for() {
	order forget nic-forgetful.0
	echo $forgetful >$pciback/do_flr || die "do_flr fails"
	same "resets" "0 0 1" "$(resets nic-forgetful.0)"
	is $forgetful touched
	decodes $forgetful 0
	stays_awake $forgetful
	assign $forgetful
	is $forgetful "assigned $guest"
	gone
	sleeps $forgetful
}

reset_by_hand() {
	order forget nic-forgetful.0
	echo flr >$devices/$forgetful/reset_method
	echo 1 >$devices/$forgetful/reset || die "no reset"
	same "resets by FLR" 1 "$(fact nic-forgetful.0 resets.flr)"
	sleeps $forgetful
	assign $forgetful
	is $forgetful "assigned $guest"
	decodes $forgetful 0
	gone
	sleeps $forgetful
}

# The others sleep meanwhile, and are reset all the same.
card() {
	for number in 0 1 2 3; do order forget gpu.$number; done
	assign $display
	is $display "assigned $guest"
	decodes $display 0
	write_bar $display 0 $TATTOO 0x77
	for function in $sound $usbs $ucsi; do sleeps $function; done
	gone
	for function in $display $sound $usbs $ucsi; do sleeps $function; done
	for number in 0 1 2 3; do same "resets of $number" "0 1 0" "$(resets gpu.$number)"; done
	assign $display
	is $display "assigned $guest"
	same "tattoo" 0x0 "$(read_bar $display 0 $TATTOO)"
	gone
	sleeps $display
}

to_dom0() {
	order forget nic-forgetful.0
	setpci -s $forgetful BASE_ADDRESS_0=0
	give_back $forgetful
	same "resets" "0 0 1" "$(resets nic-forgetful.0)"
	same "MSI-X table" free "$(cat $devices/$forgetful/xen/msix)"
	echo 1 >$devices/$forgetful/enable
	decodes $forgetful 0
	echo 0 >$devices/$forgetful/enable
}

unplugged() {
	echo 1 >$devices/$slow/remove
	echo 1 >/sys/bus/pci/rescan
	wait_for 5 test -e $devices/$slow/pciback
	sleeps $slow
	give_back $slow
	same "power state" "D0 0" "$(power $slow)"
}

hidden() {
	rmmod xen_pciback
	for function in $display $sound $usbs $ucsi; do
		same "power state of $function" "D0 0" "$(power $function)"
	done
	insmod "$(module_file xen-pciback)" idle_d3=Y "hide=(${display%.*}.*)($forgetful)" || die "not loaded"
	for function in $display $sound $usbs $ucsi $forgetful; do
		wait_for 5 test -e $devices/$function/pciback
		sleeps $function
	done
	same "MSI-X table" held "$(cat $devices/$forgetful/xen/msix)"
}

off_again() {
	echo N >$parameter
	for function in $display $sound $usbs $ucsi $forgetful; do give_back $function; done
	seize $usb
	is $usb clean
	stays_awake $usb
	give_back $usb
}

find_animals && [ -e $parameter ] || skip_all "see tests.toml"

plan 15
check "functions do not sleep unless that is asked for" off_by_default
check "one that may sleep does so, and is stopped" switched_on
check "it wakes up when it may not sleep any more" switched_off
check "a parameter is for those that are seized from then on" by_parameter
check "their MSI-X tables were held before" held
check "a guest gets it awake, with what it has lost, and it sleeps again after" handed_over
check "a function that is slow to wake up is waited for" slow_to_wake
check "a toolstack that asks for a reset gets it awake, and without a reset" asked_for
check "a reset by hand works" reset_by_hand
check "a reset of the bus reaches those that sleep" card
check "dom0 gets it awake, with what it has lost, and without a reset" to_dom0
check "it can be unplugged" unplugged
check "functions of hide sleep when they are bound, and are awake when the module goes" hidden
check "without the parameter, none sleeps" off_again
check "nothing failed" eval '! log | grep -E "cannot (wake|put)|failed to prepare|guests cannot use|takes no notice"'
finish
