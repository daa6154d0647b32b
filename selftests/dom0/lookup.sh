#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# The four interfaces to a function's GSI: privcmd's ioctl, those of /dev/xen/pcidev,
# the list, sysfs. Would catch: interfaces that differ, GSIs that are not those of
# the firmware, the wrong errno for a function without a GSI (libxl goes on
# without INTx at ENOENT only), and look-ups that leave a reference behind.

. "${0%/*}/ktap.sh"

# What the interfaces say, one line per function; "sysfs" has also the pin that
# configuration space names.
ask_all() {
	ask list >$tmp/list
	for interface in sysfs privcmd gsi info; do
		ask $interface $(all_functions) >$tmp/$interface || return
	done
}

# Into $value, without a process: there are many.
field() { # NAME LINE
	case " $2" in
	*" $1="*)
		value=${2#* "$1"=}
		value=${value#"$1"=}
		value=${value%% *} ;;
	*) value= ;;
	esac
}

line_of() { # FUNCTION DOOR: into $line
	while read -r line; do
		[ "${line%% *}" != $1 ] || return 0
	done <$tmp/$2
	line=
}

# All functions that have this value in sysfs.
with() { # FIELD VALUE
	sed -n "s/^\([^ ]*\) .*\b$1=$2\b.*/\1/p" $tmp/sysfs
}

values() { # FIELD: all its values in sysfs that are numbers
	sed -n "s/.* $1=\([0-9]*\) .*/\1/p" $tmp/sysfs | sort -nu
}

interfaces_agree() {
	ask_all || die "an interface fails"
	while read -r function said; do
		field gsi "$said"
		gsi=$value
		for interface in privcmd gsi; do
			line_of $function $interface
			same "$function, $interface" "$function $gsi" "$line"
		done
		case $gsi:$said in
		ENOENT:*" pin=0" | ENXIO:*" pin="[1-4]) gsi=- ;;
		E*) die "$function: the wrong error, $said" ;;
		esac
		line_of $function info
		field gsi "$line"
		same "$function, info" $gsi $value
	done <$tmp/sysfs
}

list_is_complete() {
	same "all functions" "$(all_functions | sort)" "$(ask list)"
}

# Each list holds exactly the functions that say so themselves.
lists_are_exact() {
	for key in gsi irq; do
		for value in $(values $key); do
			same "$key $value" "$(with $key $value)" "$(ask list $key $value)"
		done
		same "$key of nobody" ENOENT "$(ask list $key 4095)"
	done
}

# Both say pin, trigger and polarity, and configuration space says the pin.
pins_agree() {
	while read -r function said; do
		line_of $function info
		field pin "$said"
		pin=$value
		field pin "$line"
		same "$function, pin" $pin $value
		case $line in
		*"trigger=0 polarity=0 "*) wanted=edge-high ;;
		*"trigger=0 polarity=1 "*) wanted=edge-low ;;
		*"trigger=1 polarity=0 "*) wanted=level-high ;;
		*"trigger=1 polarity=1 "*) wanted=level-low ;;
		*) wanted= ;;
		esac
		case $wanted:$pin in
		:*) field gsi "$said"; wanted=$value ;;
		*:1) wanted=A-$wanted ;;
		*:2) wanted=B-$wanted ;;
		*:3) wanted=C-$wanted ;;
		*:4) wanted=D-$wanted ;;
		esac
		field intx "$said"
		same "$function, intx" $wanted $value
	done <$tmp/sysfs
}

# The routing that QEMU's q35 has in its ACPI tables: GSI E to H (20 to 23) for
# device and pin in turn, but A to D (16 to 19) by the pin alone for 25 to 31.
# Behind a bridge: the pin, turned by the device number, of the bridge.
q35_gsi() { # SBDF PIN(0 to 3)
	above=$(basename "$(dirname "$(readlink -f $devices/$1)")")
	device=${1#*:*:}
	device=$((0x${device%.*}))
	case $above in
	pci*)	case $device in
		30) echo $((20 + $2)) ;;
		2[5-9] | 31) echo $((16 + $2)) ;;
		*) echo $((20 + (device + $2) % 4)) ;;
		esac ;;
	*)	q35_gsi $above $(((device + $2) % 4)) ;;
	esac
}

is_q35() {
	grep -q QEMU /sys/class/dmi/id/sys_vendor && [ "$(cat $devices/0000:00:00.0/device 2>/dev/null)" = 0x29c0 ]
}

routes_are_acpis() {
	while read -r function said; do
		field gsi "$said"
		gsi=$value
		field pin "$said"
		case $gsi in
		E*) ;;
		*) same $function $(q35_gsi $function $((value - 1))) $gsi ;;
		esac
	done <$tmp/sysfs
}

# Linux' own view of an irq: the I/O APIC input that it comes from. The GSI, for
# the first I/O APIC.
irqs_come_from_gsis() {
	[ "$(values irq)" ] || die "no function has an irq"
	for irq in $(values irq); do
		same "chip of irq $irq" IO-APIC $(cat /sys/kernel/irq/$irq/chip_name)
		for function in $(with irq $irq); do
			same "$function, input of irq $irq" $(cat /sys/kernel/irq/$irq/hwirq) \
				$(cat $devices/$function/xen/gsi)
		done
	done
}

# Network interfaces that use INTx have their name on their irq.
interrupts_name_the_driver() {
	for net in $devices/*/net/*; do
		function=$(basename ${net%/net/*})
		irq=$(cat $devices/$function/xen/irq)
		grep -qE "^ *$irq:.*IO-APIC.*[ ,]$(basename $net)(,|\$)" /proc/interrupts ||
			die "$function: irq $irq does not name $(basename $net): $(grep "^ *$irq:" /proc/interrupts)"
	done
}

pinless() {
	grep ' pin=0$' $tmp/sysfs | cut -d' ' -f1
}

# Our own machine has one (tests.toml); elsewhere nobody but the kernel can say.
unrouted() {
	grep ' gsi=ENXIO .* pin=[1-4]$' $tmp/sysfs | cut -d' ' -f1
}

answers() { # ERROR FUNCTION...
	error=$1
	shift
	[ $# -gt 0 ] || die "there is none"
	for function; do
		for interface in privcmd gsi; do
			line_of $function $interface
			same "$function, $interface" "$function $error" "$line"
		done
		line_of $function sysfs
		for file in gsi irq intx; do
			field $file "$line"
			same "$function, $file" $error $value
		done
		line_of $function info
		case $line in
		*" gsi=- irq=- "*) ;;
		*) die "$function: $line" ;;
		esac
	done
}

absent_is_enodev() {
	absent=
	for address in 0000:ff:1f.7 ffff:ff:1f.7 ffff:00:00.0 0001:00:00.0 0000:00:1e.7; do
		[ -e $devices/$address ] || absent="$absent $address"
	done
	for interface in privcmd gsi info; do
		answers=$(ask $interface $absent) || return
		echo "$answers" | grep -v ' ENODEV$' && die "at the interface $interface"
	done
	return 0
}

# The driver puts back the configuration it saved once the last reference is
# gone: a register that was changed meanwhile stays if one is left.
no_reference_left() { # SBDF
	before=$(config $1 CACHE_LINE_SIZE)
	seize $1
	setpci -s $1 CACHE_LINE_SIZE=5a
	for interface in privcmd gsi info; do
		ask $interface $1 | grep -q "^$1 [gs0-9]" || echo "$interface: $(ask $interface $1)"
	done
	give_back $1
	same "CACHE_LINE_SIZE of $1" $before $(config $1 CACHE_LINE_SIZE)
}

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

plan 11
check "every interface gives every function the same GSI, or the same error" interfaces_agree
check "the list holds every function once, in order" list_is_complete
check "lists by GSI and by irq hold exactly the functions that have it" lists_are_exact
check "pin, trigger and polarity are the same in sysfs, ioctl and configuration space" pins_agree
if is_q35; then
	check "the GSIs are those of ACPI's routing" routes_are_acpis
else
	skip "the GSIs are those of ACPI's routing" "known beforehand for QEMU's q35 only"
fi
check "an irq comes from the I/O APIC input that is the GSI" irqs_come_from_gsis
if grep -qw pci=nomsi /proc/cmdline && ls -d $devices/*/net/* >/dev/null 2>&1; then
	check "/proc/interrupts names the driver at the irq" interrupts_name_the_driver
else
	skip "/proc/interrupts names the driver at the irq" "no network interface that uses INTx: boot with pci=nomsi"
fi
if [ "$(pinless)" ]; then
	check "a function without a pin is ENOENT at every interface" answers ENOENT $(pinless)
else
	skip "a function without a pin is ENOENT at every interface" "this machine has none"
fi
if [ "$(unrouted)" ]; then
	check "a pin that is routed nowhere is ENXIO at every interface" answers ENXIO $(unrouted)
else
	skip "a pin that is routed nowhere is ENXIO at every interface" "this machine has none"
fi
check "an absent function is ENODEV at every interface" absent_is_enodev
spare=$(spare_functions routed | head -n 1)
if [ "$spare" ] && [ -e $pciback ]; then
	check "a look-up leaves no reference to a seized function" no_reference_left $spare
else
	skip "a look-up leaves no reference to a seized function" "no unused function to seize, or no xen-pciback"
fi
finish
