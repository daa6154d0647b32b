#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# xen-pciback as what modprobe, udev and configuration files know. Would catch:
# a name that has changed, and a module that is half there after it could not be
# loaded.

. "${0%/*}/ktap.sh"

names() {
	modprobe -R xen-backend:pci | grep -q xen_pciback || die "xen-backend:pci does not load it"
	modinfo -F softdep xen-pciback | grep -q 'pre: *xen-pcidev' || die "xen-pcidev is not loaded first"
	for parameter in hide permissive passthrough; do
		modinfo -F parm xen-pciback | grep -q "^$parameter:" || die "no parameter $parameter"
	done
	[ -d /sys/bus/xen-backend/drivers/xen-pciback ] || die "no xenbus driver"
	same "modes of the parameters" "444 444 644" \
		"$(cd /sys/module/xen_pciback/parameters && echo $(stat -c %a hide passthrough permissive))"
}

nothing_there() {
	! is_loaded xen_pciback || die "the module is loaded"
	[ ! -e $pciback ] || die "there is a PCI driver"
	[ ! -e /sys/bus/xen-backend/drivers/xen-pciback ] || die "there is a xenbus driver"
}

refused() { # MESSAGE [PARAMETER...]
	message=$1
	shift
	! modprobe xen-pciback "$@" 2>/dev/null || die "loaded with $*"
	log | tail -n 3 | grep -q "$message" || die "no '$message' in: $(log | tail -n 3)"
	nothing_there
}

bad_lists() {
	rmmod xen_pciback
	for list in "(00:04.0" "00:04.0" "(00:04.8)" "(00:04.0),(00:05.0)" "()" "(zz:04.0)"; do
		refused "hide: syntax error" "hide=$list"
	done
	modprobe xen-pciback "hide= (1f:1e.0) (0000:1f:1d.*) " || die "a good list is refused"
	same slots 9 "$(wc -l <$pciback/slots)"
}

# More than a page.
many_slots() {
	for bus in f0 f1 f2; do echo "0000:$bus:*.*" >$pciback/new_slot; done
	same slots 768 "$(grep -c '^0000:f[012]:[01][0-9a-f]\.[0-7]$' $pciback/slots)"
	for bus in f0 f1 f2; do echo "0000:$bus:*.*" >$pciback/remove_slot; done
	same "slots at last" 0 "$(grep -c :f $pciback/slots)"
}

second() {
	rmmod xen_pciback
	insmod "$squatter"
	! modprobe xen-pciback 2>/dev/null || die "two drivers of one name"
	log | tail -n 3 | grep -q "there is a driver pciback" || die "the log does not say why"
	! is_loaded xen_pciback || die "the module is loaded"
	rmmod name_squatter
	insmod "$squatter" xenbus=1
	! modprobe xen-pciback 2>/dev/null || die "two xenbus drivers of one name"
	[ ! -e $pciback ] || die "half of it is there"
	rmmod name_squatter
	modprobe xen-pciback || die "it does not load any more"
}

[ -e $pciback/do_flr ] || skip_all "needs our xen-pciback"
[ -z "$(ls $pciback | grep :)" ] || skip_all "xen-pciback has devices, for guests"
squatter=$(module_file name-squatter)

plan 4
check "its names are those of the stock driver" names
check "what is wrong in hide= is named, and nothing is loaded" bad_lists
check "slots shows more than a page" many_slots
if [ "$squatter" ]; then
	check "a second driver of its name keeps it from loading, nothing is half there" second
else
	skip "a second driver of its name keeps it from loading, nothing is half there" "no module name-squatter"
fi
finish
