#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# pcidev doctor on a faulty system. Each finding must be absent at first, appear
# once it is provoked, and disappear with --ignore. Would catch: missed faults and
# false alarms.

. "${0%/*}/ktap.sh"

report() { # ARG...: into $report, $status
	report=$(pcidev doctor "$@" 2>&1)
	status=$?
}

has() { # LEVEL CODE
	echo "$report" | grep -qE "^ +$1 +$2: "
}

lacks() { # CODE [SBDF]
	code=$1
	shift
	report "$@"
	! has '[a-z]+' $code || die "too early, $code: $report"
}

finds() { # LEVEL CODE [SBDF]
	level=$1 code=$2
	shift 2
	report "$@"
	has $level $code || die "no $code: $report"
	case $level in
	fails | warning) same "exit status with $code" 1 $status ;;
	esac
	report --ignore $code "$@"
	! has '[a-z]+' $code || die "$code is not ignored: $report"
}

clean() {
	report
	same "exit status" 0 $status
	case $report in
	*"All is well"*) ;;
	*) die "$report" ;;
	esac
}

elsewhere() { # LEVEL CODE
	finds "$@"
	case $2 in
	pv-dom0) report --ignore $2 --ignore no-xen-pciback; same "exit status" 0 $status ;;
	*) same "functions" 0 $(echo "$report" | grep -c '^[0-9a-f]*:') ;;
	esac
}

without_reset() {
	lacks no-reset $nic
	clean
	seize $pinless
	finds warning no-reset
	finds warning no-reset $pinless
	report --ignore no-reset
	same "exit status" 0 $status
	give_back $pinless
	clean
}

without_route() {
	lacks no-route $nic
	finds note no-route $unrouted
	report $unrouted
	same "exit status, with MSI-X" 0 $status
}

shares() {
	function=${pair% *} other=${pair#* }
	lacks shared-line $function
	seize $other
	finds '(note|warning)' shared-line $function
	report $function
	echo "$report" | grep -q "with .*$other" || die "it does not say with which: $report"
	give_back $other
	lacks shared-line $function
}

not_held() {
	lacks parameter
	rmmod xen-pciback
	rmmod xen-pcidev
	load_pcidev hold=0
	modprobe xen-pciback
	finds warning parameter
	lacks no-hold $nic
	seize $nic
	finds fails no-hold
	give_back $nic
	rmmod xen-pciback
	rmmod xen-pcidev
	load_pcidev
	modprobe xen-pciback
	seize $nic
	lacks no-hold
	give_back $nic
}

in_use() {
	lacks in-use $nic
	modprobe e1000e
	name=$(ls $devices/$nic/net)
	[ "$name" ] || die "no interface"
	ip address add 10.0.2.15/24 dev $name
	finds warning in-use $nic
	report $nic
	echo "$report" | grep -q "dom0 uses it for the address 10.0.2.15 of $name" || die "$report"
	rmmod e1000e
	lacks in-use $nic
}

kept_by_override() {
	lacks override $nic
	echo vfio-pci >$devices/$nic/driver_override
	finds warning override $nic
	echo >$devices/$nic/driver_override
	lacks override $nic
}

in_quarantine() {
	xl pci-assignable-add $nic || die "not assignable"
	lacks quarantine $nic
	echo $nic >$pciback/unbind
	finds fails quarantine $nic
	xl pci-assignable-add $nic && xl pci-assignable-remove $nic
	lacks quarantine $nic
}

missing() {
	lacks no-xen-pciback
	lacks no-xen-pcidev
	rmmod xen-pciback
	finds warning no-xen-pciback
	rmmod xen-pcidev
	finds fails no-xen-pcidev
	load_pcidev
	lacks no-xen-pcidev
	modprobe xen-pciback
	clean
}

# The stock driver gets no function: with some it would crash the host.
stock() {
	lacks stock-xen-pciback
	lacks stock-refuses $pinless
	rmmod xen-pciback
	insmod "$stock" || die "the stock driver does not load"
	finds warning stock-xen-pciback
	finds fails stock-refuses $pinless
	[ ! "$unrouted" ] || finds fails stock-refuses $unrouted
	rmmod xen-pciback
	modprobe xen-pciback
	clean
}

display() {
	lacks boot-display $nic
	finds warning boot-display $boot_vga
}

xl_refuses() { # WORDS
	! said=$(xl create /run/g.cfg 2>&1) || die "xl has created it"
	case $said in *"$1"*) ;; *) die "$said" ;; esac
}

# What the doctor says of a file, xl says as well.
configuration() {
	cat >/run/g.cfg <<-END
	type = "hvm"
	name = "g"
	kernel = "/boot/vmlinuz"
	memory = 128
	pci = [ "$nic" ]
	END
	finds fails no-function /run/g.cfg
	seize $nic
	report /run/g.cfg
	same "exit status" 0 $status
	echo "maxmem = 256" >>/run/g.cfg
	finds fails populate-on-demand /run/g.cfg
	xl_refuses "not supported together with PoD"
	sed -i -e 's/"hvm"/"pvh"/' -e /maxmem/d /run/g.cfg
	finds fails guest-type /run/g.cfg
	xl_refuses "not yet supported for x86 PVH guests"
	echo "memory = = 1" >>/run/g.cfg
	finds fails guest-config /run/g.cfg
	give_back $nic
}

# Without tools to ask; and as a user who may read nothing.
cannot_tell() {
	lacks no-xl
	pcidev=$(command -v pcidev)
	for code in no-xl no-owners no-xenstore; do
		report=$(PATH=/nowhere $pcidev doctor)
		same "exit status without tools" 3 $?
		has unknown $code || die "no $code: $report"
	done
	report=$(PATH=/nowhere $pcidev doctor --ignore no-xl --ignore no-owners --ignore no-xenstore)
	same "exit status without tools, ignored" 0 $?
	report=$(setpriv --reuid=65534 --clear-groups $pcidev doctor)
	same "exit status of nobody" 3 $?
	has unknown not-root || die "no not-root: $report"
}

[ "$(id -u)" = 0 ] && in_vm || skip_all "needs our own machine"
command -v pcidev >/dev/null || skip_all "needs the program pcidev"

case $(cat /sys/hypervisor/guest_type 2>/dev/null) in
PVH) ;;
PV)	plan 1
	check "in a PV dom0 the doctor says so" elsewhere warning pv-dom0
	finish ;;
*)	plan 1
	check "without Xen the doctor says so" elsewhere fails no-xen
	finish ;;
esac

[ -e $pciback/do_flr ] || skip_all "needs our xen-pciback"
[ -e /dev/xen/pcidev ] || skip_all "needs xen-pcidev"
stock=$(ls /lib/modules/$(uname -r)/kernel/drivers/xen/xen-pciback/xen-pciback.ko* 2>/dev/null)
routed=$(spare_functions routed without_driver)
nic=$(for function in $routed; do ! has_msix $function || { echo $function; break; }; done)
[ "$nic" ] || skip_all "no function with a line and MSI-X"
pair=$(for function in $routed; do echo "$(cat $devices/$function/xen/gsi) $function"; done | sort |
	awk '$1 == gsi { print first, $2; exit } { gsi = $1; first = $2 }')
pinless='' unrouted='' boot_vga=''
for function in $(spare_functions without_driver); do
	if ! has_pin $function; then
		[ -e $devices/$function/reset_method ] || pinless=$function
	elif ! routed $function; then
		unrouted=$function
	fi
done
for file in $devices/*/boot_vga; do
	[ ! -e $file ] || [ $(cat $file) = 0 ] || boot_vga=$(basename ${file%/*})
done

when() { # FUNCTION SENTENCE COMMAND [ARG...]
	[ "$1" ] || { skip "$2" "this machine has no such function"; return; }
	shift
	check "$@"
}

plan 13
check "a healthy dom0 has no finding" clean
when "$pinless" "a function without reset" without_reset
when "$unrouted" "an unrouted INTx pin" without_route
when "$pair" "a line shared by two functions" shares
long "a table that is not held, and the parameter that causes it" not_held
long "a function that dom0 itself uses" in_use
long "a driver_override for another driver" kept_by_override
long "a function left in quarantine" in_quarantine
long "modules that are not loaded" missing
when "$pinless" "the stock xen-pciback" stock
when "$boot_vga" "the firmware's display" display
check "the configuration of a guest" configuration
check "inconclusive checks are reported as unknown" cannot_tell
finish
