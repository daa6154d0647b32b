#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Emulated functions in guests. Would catch: a card that is reset under a guest, once for
# each function, or not at all; one that brings its next guest something of the last one;
# DMA that goes on while a function waits for its reset; and a loss of INTx, MSI, MSI-X or
# DMA on the way to a guest. zoo-cards has the rest, with a guest that is played.
#
# LONG=yes: two guests with a card, too.

. "${0%/*}/ktap.sh"
. "${0%/*}/toolstack"
. "${0%/*}/animals"
. "${0%/*}/guests"

find_animals && [ "$forgetful" ] && [ "$disk" ] || skip_all "see tests.toml"
card="$display $sound $usbs $ucsi"

# A guest whose driver (zoo.c) tries each function and leaves a tattoo and DMA that goes on.
visit() { # NAME TATTOO SBDF...
	name=$1 left=$2
	shift 2
	pci=
	for function; do pci="$pci --pci $function"; done
	guest-run --name $name --keep $pci "$(
		in_guest <<-END
			insmod /modules/zoo-test.ko tattoo=$left goes_on=1
			dmesg | grep 'zoo-test 0000'
		END
	)" >$tmp/$name || die "$(cat $tmp/$name)"
	cat $tmp/$name
}

# Each with a tattoo that a reset cleared, and with DMA into the guest's memory.
found_clean() { # GUEST TATTOO DEVICE...
	name=$1 left=$2
	shift 2
	for device; do
		said $name $device "tattoo: 0x0, now $left"
		said $name $device "DMA: works"
	done
}

said() { # GUEST DEVICE TEXT
	grep -q ": $2 $3" $tmp/$1 || die "no '$2 $3': $(cat $tmp/$1)"
}

identities='for dir in /sys/bus/pci/devices/*; do
	[ "$(cat $dir/vendor)" != 0x10de ] ||
		echo $(cat $dir/class $dir/device $dir/revision $dir/subsystem_vendor $dir/subsystem_device)
done | sort'

one_guest() {
	assignable $card
	zoo '{"order": "forget"}' >/dev/null
	visit one 0x11 $card
	same "functions" "$(eval "$identities")" "$(echo "$identities" | tell one)"
	found_clean one 0x11 1e84 10f9 1ada 1adb
	for function in $card; do is $function "assigned $(xl domid one)"; done
	resets_are 0
}

interrupts() {
	for device in 1e84 10f9 1ada 1adb; do
		said one $device "INTx: works, vectors: 1"
		said one $device "MSI: works, vectors: 1"
	done
}

resets_are() { # COUNT
	for number in 0 1 2 3; do same "resets of gpu.$number" $1 "$(fact gpu.$number resets.bus)"; done
}

tattoos_are() { # TATTOO
	same "tattoos" "$1 $1 $1 $1" "$(read_bar $display 0 $TATTOO) $(read_bar $sound 0 $TATTOO) $(
		read_bar $usbs 3 $TATTOO) $(read_bar $ucsi 0 $TATTOO)"
}

all_reset() {
	for function in $card; do is $function clean; done
	resets_are 1
	tattoos_are 0x0
}

one_ends() {
	destroyed one
	all_reset
}

two_guests() {
	zoo '{"order": "forget"}' >/dev/null
	visit two 0x22 $display $sound
	visit three 0x22 $usbs $ucsi
	found_clean two 0x22 1e84 10f9
	found_clean three 0x22 1ada 1adb
}

# What it wrote before, and tries now.
stopped() { # ANIMAL
	same "DMA of $1 goes on" true "$(fact $1 running)"
	done=$(fact $1 dma_done) tried=$(fact $1 dma_tried)
	sleep 1
	[ "$(fact $1 dma_tried)" -gt $tried ] || die "$1 does not try"
	same "DMA of $1" $done "$(fact $1 dma_done)"
}

half_is_returned() {
	destroyed two
	is $display returned
	is $sound returned
	same "blocked by" "$usbs $ucsi" "$(echo $(cat $devices/$display/pciback/reset_blocked_by))"
	resets_are 0
	stopped gpu.0
	stopped gpu.1
	same "the other guest's" 0x22 "$(read_bar $ucsi 0 $TATTOO)"
}

# xl does not wait for an answer if the guest is HVM.
denied() {
	create four $display
	number=$(xl domid four)
	wait_for 10 logged "$display: domain $number must not use it before its reset"
	wait_for 10 logged "cannot assign $display to domain $number: it could not be reset"
	destroyed four
	is $display returned
	resets_are 0
}

logged() { # TEXT
	log | grep -q "$1"
}

all_returned() {
	destroyed three
	all_reset
}

next_guest() {
	give_back $sound
	assignable $forgetful $disk
	zoo '{"order": "forget"}' >/dev/null
	visit five 0x55 $display $forgetful $disk
	found_clean five 0x55 1e84 15f4 d15c
}

vectors() {
	said five 15f4 "MSI-X: works, vectors: 9"
	said five d15c "MSI: works, vectors: 1"
	said five d15c "INTx: works, vectors: 1"
}

dma_ends() {
	same "DMA goes on" true "$(fact disk.0 running)"
	[ "$(fact disk.0 dma_done)" -gt 1 ] || die "it does not"
	destroyed five
	is $disk clean
	same "DMA goes on" false "$(fact disk.0 running)"
	same "resets" 1 "$(fact disk.0 resets.flr)"
	same "DMA where nothing is mapped" 0 "$(fact disk.0 dma_failed)"
}

one_in_dom0() {
	is $display touched
	log | grep -q "$display: not reset, as $sound on its bus is not seized" || die "the log does not say so"
	resets_are 0
	same "tattoo" 0x55 "$(read_bar $display 0 $TATTOO)"
	seize $sound
	all_reset
}

plan 12
before=$(xen_counts)
check "a guest gets all functions of a card as they are, and finds them clean" one_guest
check "each reaches it by INTx and MSI" interrupts
check "when it ends, the card is reset once, and carries no trace of it" one_ends
long "two guests get two functions each, and find them clean" two_guests
long "those of the first that ends wait for the others, and do no DMA" half_is_returned
long "another guest is not to use one of them, and the log says so" denied
long "when the second ends, the card is reset once" all_returned
check "the next guest finds clean what it gets, with one function in dom0" next_guest
check "it is reached by MSI-X, MSI and INTx" vectors
check "DMA that goes on ends with the guest" dma_ends
check "what is not reset, as another function is in dom0, is named" one_in_dom0
returned $card $forgetful $disk
check "nothing is left behind in Xen" same "interrupts and mappings" "$before" "$(xen_counts)"
finish
