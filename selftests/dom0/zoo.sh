#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# The emulated functions themselves, with no driver of ours: they are what their
# descriptions say, resets do to them what these say, and the server counts them. Other
# tests rely on this.

. "${0%/*}/ktap.sh"
. "${0%/*}/animals"

tattoo() { # SBDF BAR VALUE
	write_bar $1 $2 $TATTOO $3
	same "tattoo of $1" $3 "$(read_bar $1 $2 $TATTOO)"
}

has() { # SBDF PATTERN...
	lspci -vvv -s $1 >/tmp/lspci
	sbdf=$1
	shift
	for pattern; do
		grep -qE "$pattern" /tmp/lspci || die "$sbdf has no '$pattern': $(cat /tmp/lspci)"
	done
}

class_of() { # SBDF CLASS
	same "class of $1" 0x$2 "$(cat $devices/$1/class)"
}

identity() {
	for pair in $display:030000 $sound:040300 $usbs:0c0330 $ucsi:0c8000 $flr0:030000 $slow:020000 $dead:020000 \
		    $forgetful:020000 $usb:0c0330 $accelerator:120000 $disk:018000 $liar:ff0000; do
		class_of ${pair%:*} ${pair##*:}
	done
	for function in $display $sound $usbs $ucsi; do
		same "card of $function" ${display%.*} ${function%.*}
		same "subsystem" 0x10de:0x1467 "$(cat $devices/$function/subsystem_vendor):$(cat $devices/$function/subsystem_device)"
	done
	same "pin of the sound" 02 "$(config $sound INTERRUPT_PIN)"
}

capabilities() {
	has $display 'FLReset-' 'NoSoftRst\+' 'MSI: .*Count=1/1' 'Vendor Specific Information' 'Advanced Error Reporting' \
		'Region 1: Memory .*64-bit, prefetchable.*size=16M' 'Region 5: I/O ports .*size=128' 'Expansion ROM .*size=64K'
	has $flr0 'FLReset\+' 'NoSoftRst\+'
	has $usb 'FLReset-' 'MSI: .*Count=1/8'
	has $forgetful 'Vital Product Data' 'NoSoftRst-' 'MSI-X: .*Count=10'
	has $accelerator 'Vector table: BAR=2 offset=00000400' 'PBA: BAR=2 offset=00000800' 'Count=16' \
		'Device Serial Number 08-07-06-05-04-03-02-01' 'Region 0: Memory .*64-bit, prefetchable.*size=256M'
}

methods() {
	# Lists of first functions are made when the others are not there yet: bus cannot be.
	same "$display" bus "$(cat $devices/$display/reset_method)"
	! echo 1 >$devices/$display/reset 2>/dev/null || die "$display is reset without its siblings"
	for function in $sound $usbs $ucsi; do
		[ ! -e $devices/$function/reset ] || die "$function has a reset: $(cat $devices/$function/reset_method)"
	done
	same "$flr0" "flr bus" "$(cat $devices/$flr0/reset_method)"
	same "$usb" bus "$(cat $devices/$usb/reset_method)"
	same "$slow" "flr pm bus" "$(cat $devices/$slow/reset_method)"
}

by_flr() {
	order forget gpu-flr0.0
	tattoo $flr0 0 0x77
	tattoo $flr0_sound 0 0x78
	echo 1 >$devices/$flr0/reset || die "no reset"
	same "tattoo" 0x0 "$(read_bar $flr0 0 $TATTOO)"
	same "the sibling's" 0x78 "$(read_bar $flr0_sound 0 $TATTOO)"
	same "counted" "1 0 0" "$(fact gpu-flr0.0 resets.flr) $(fact gpu-flr0.0 resets.bus) $(fact gpu-flr0.0 resets.pm)"
	same "last tattoo" 119 "$(fact gpu-flr0.0 tattoo_written)"
	same "in the BAR" 0x1 "$(read_bar $flr0 0 0x20)"
}

by_bus() {
	order forget usb.0
	tattoo $usb 2 0x79
	echo 1 >$devices/$usb/reset || die "no reset"
	same "tattoo" 0x0 "$(read_bar $usb 2 $TATTOO)"
	same "counted" "0 1 0" "$(fact usb.0 resets.flr) $(fact usb.0 resets.bus) $(fact usb.0 resets.pm)"
}

whole_card() {
	for number in 0 1 2 3; do order forget gpu.$number; done
	tattoo $display 0 0x80
	tattoo $sound 0 0x81
	tattoo $usbs 3 0x82
	tattoo $ucsi 0 0x83
	port=$(basename $(dirname $(readlink -f $devices/$display)))
	echo 1 >$devices/$port/reset_subordinate || die "no reset"
	for place in "$display 0" "$sound 0" "$usbs 3" "$ucsi 0"; do
		same "tattoo of $place" 0x0 "$(read_bar $place $TATTOO)"
	done
	for number in 0 1 2 3; do
		same "counted for $number" 1 "$(fact gpu.$number resets.bus)"
	done
	same "what firmware wrote" 00c0ffee "$(config $display c0.l)"
}

no_reset() {
	order forget gpu.0
	tattoo $display 0 0x84
	setpci -s $display CAP_PM+4.w=3:3
	same "power state" 3 "$(($(printf %d 0x$(config $display CAP_PM+4.w)) & 3))"
	setpci -s $display CAP_PM+4.w=0:3
	setpci -s $display CAP_EXP+8.w=8000:8000
	same "tattoo" 0x84 "$(read_bar $display 0 $TATTOO)"
	same "counted" "0 0 0" "$(fact gpu.0 resets.flr) $(fact gpu.0 resets.bus) $(fact gpu.0 resets.pm)"
}

power_management() {
	order forget nic-forgetful.0
	echo pm >$devices/$forgetful/reset_method || die "no pm"
	same "before" "5a5a1234 0x52540001" "$(config $forgetful e4.l) $(read_bar $forgetful 0 0x5400)"
	echo 1 >$devices/$forgetful/reset || die "no reset"
	same "after" "00000000 0x0" "$(config $forgetful e4.l) $(read_bar $forgetful 0 0x5400)"
	same "counted" "0 0 1" \
		"$(fact nic-forgetful.0 resets.flr) $(fact nic-forgetful.0 resets.bus) $(fact nic-forgetful.0 resets.pm)"
}

comes_back_late() {
	echo flr >$devices/$slow/reset_method
	tattoo $slow 0 0x85
	# As the kernel does it, but without its patience.
	setpci -s $slow CAP_EXP+8.w=8000:8000
	same "vendor at first" 0001 "$(config $slow VENDOR_ID)"
	same "command" ffff "$(config $slow COMMAND)"
	same "answers" false "$(fact nic-slow.0 answers)"
	tries=0
	until [ "$(config $slow VENDOR_ID)" = 8086 ]; do
		tries=$((tries + 1))
		[ $tries -lt 300 ] || die "it never comes back"
	done
	[ $tries -gt 5 ] || die "it was there at once"
}

# The kernel waits while COMMAND and STATUS are all ones. In a PVH dom0 of Xen 4.20 they never
# are: Xen clears the reserved bits of STATUS. So it takes a function for ready that is not.
kernel_does_not_wait() {
	order forget nic-slow.0
	echo 1 >$devices/$slow/reset || die "no reset"
	same "counted" 1 "$(fact nic-slow.0 resets.flr)"
	read -r minor </sys/hypervisor/version/minor
	if [ "$minor" -gt 20 ]; then
		same "it answers" true "$(fact nic-slow.0 answers)"
		return
	fi
	same "COMMAND and STATUS of one that does not answer" "ffb9ffff false" \
		"$(config $slow COMMAND.l) $(fact nic-slow.0 answers)"
	tries=0
	until [ "$(config $slow VENDOR_ID)" = 8086 ]; do
		tries=$((tries + 1))
		[ $tries -lt 300 ] || die "it never comes back"
	done
}

never_comes_back() {
	echo flr >$devices/$dead/reset_method
	# It may fail or not: see above.
	echo 1 >$devices/$dead/reset 2>/dev/null
	same "counted" 1 "$(fact nic-dead.0 resets.flr)"
	same "vendor" ffff "$(config $dead VENDOR_ID)"
	order answer nic-dead.0
	same "vendor after the order" 8086 "$(config $dead VENDOR_ID)"
	order die nic-dead.0
	same "vendor when it died" ffff "$(config $dead VENDOR_ID)"
	order answer nic-dead.0
}

# QEMU forgets all mappings of Xen's when Xen switches the IOMMU on; they come again when Xen
# adds the function to a domain once more.
map_again() { # SBDF
	echo 1 >$devices/$1/remove
	echo 1 >/sys/bus/pci/rescan
	wait_for 5 test -e $devices/$1
	echo 1 >$devices/$1/enable
}

memory() {
	map_again $accelerator
	order forget accelerator.0
	[ "$(fact accelerator.0 dma_mappings)" -gt 0 ] || die "nothing is mapped"
	setpci -s $accelerator COMMAND=0:4
	same "without bus mastering" 0x0 "$($zoo dma $accelerator 2 0xc00)"
	setpci -s $accelerator COMMAND=4:4
	same "with it" 0x600d "$($zoo dma $accelerator 2 0xc00)"
	same "tried, done" "1 1" "$(fact accelerator.0 dma_tried) $(fact accelerator.0 dma_done)"
	setpci -s $accelerator COMMAND=0:4
}

# Without bus mastering, as the page is soon another's.
goes_on() {
	order forget disk.0
	setpci -s $disk COMMAND=0:4
	$zoo dma $disk 0 0 >/dev/null
	before=$(fact disk.0 dma_tried)
	config $disk VENDOR_ID >/dev/null
	[ "$(fact disk.0 dma_tried)" -gt "$before" ] || die "it does not go on: $before"
	same "goes on" true "$(fact disk.0 running)"
	echo 1 >$devices/$disk/reset || die "no reset"
	same "after the reset" false "$(fact disk.0 running)"
}

raises() {
	setpci -s $disk COMMAND=400:400
	write_bar $disk 0 $RAISE 0
	same "STATUS" 8 "$(($(printf %d 0x$(config $disk STATUS)) & 8))"
	read_bar $disk 0 $RAISED >/dev/null
	same "STATUS, lowered" 0 "$(($(printf %d 0x$(config $disk STATUS)) & 8))"
	setpci -s $disk COMMAND=0:400
}

lies() {
	ones=0
	for number in $(seq 200); do
		[ "$(config $liar VENDOR_ID)" = 1337 ] || ones=$((ones + 1))
	done
	[ $ones -gt 0 ] && [ $ones -lt 20 ] || die "$ones reads of 200 were not the vendor"
	setpci -s $liar CAP_EXP+8.w=8000:8000
	same "device after a reset" 0002 "$(config $liar DEVICE_ID)"
}

find_animals && [ "$flr0" ] || skip_all "see tests.toml"
for function in $display $sound $usbs $ucsi $flr0 $flr0_sound $slow $dead $forgetful $usb $accelerator $disk $liar; do
	echo 1 >$devices/$function/enable
done

plan 15
check "each function has the class and the IDs of its description" identity
check "each has its capabilities and BARs" capabilities
check "the kernel finds the resets that they have" methods
check "a function level reset clears one function, and is counted" by_flr
check "a reset of the bus clears a function alone on it, and is counted" by_bus
check "a reset below a port clears all functions of the card" whole_card
check "a function without a reset keeps its state" no_reset
check "the change from D3hot to D0 loses what it should lose" power_management
check "a slow function asks to retry, and comes back" comes_back_late
check "the kernel takes a slow function for ready too early, before Xen 4.21" kernel_does_not_wait
check "a dead function stays so until it is ordered to answer" never_comes_back
check "DMA reaches dom0's memory, and only with bus mastering" memory
check "DMA that goes on ends with a reset" goes_on
check "INTx is raised and lowered" raises
check "a liar lies" lies
finish
