#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# The program pcidev against sysfs. Would catch: a wrong column, a missing
# function or one that is gone, changes that watch misses, a wrong exit status.

. "${0%/*}/ktap.sh"

# Compares a list with sysfs, and names the differences.
compare() { # FILE: what "pcidev list --json" prints
	python3 - "$1" <<-'END'
	import json, os, sys

	DEVICES = "/sys/bus/pci/devices"

	def read(function, name):
	    try:
	        with open(f"{DEVICES}/{function}/{name}") as file:
	            return file.read().strip()
	    except OSError:
	        return None

	def number(text, base=10):
	    return None if text is None else int(text, base)

	def wanted(function):
	    pin, trigger, polarity = (read(function, "xen/intx") or "None None None").split()
	    driver = f"{DEVICES}/{function}/driver"
	    driver = os.path.basename(os.readlink(driver)) if os.path.islink(driver) else None
	    fields = {"sbdf": function, "gsi": number(read(function, "xen/gsi")), "irq": number(read(function, "xen/irq")),
	              "msix": read(function, "xen/msix"), "driver": driver,
	              "holder": "pciback" if driver == "pciback" else "driver" if driver else "none",
	              "state": read(function, "pciback/state"), "reset": read(function, "reset_method"),
              "trigger": trigger, "polarity": polarity, "pin": pin}
	    for name in "vendor", "device", "class":
	        fields[name] = number(read(function, name), 16)
	    return {name: None if value == "None" else value for name, value in fields.items()}

	listed = json.load(open(sys.argv[1]))
	functions = sorted(os.listdir(DEVICES))
	if [entry["sbdf"] for entry in listed] != functions:
	    sys.exit(f"listed: {[entry['sbdf'] for entry in listed]}, there are: {functions}")
	wrong = [(entry["sbdf"], name, entry[name], value)
	         for entry in listed for name, value in wanted(entry["sbdf"]).items()
	         # sysfs does not show an unrouted pin.
	         if entry[name] != value and not (name == "pin" and value is None)]
	sys.exit(f"listed, but not so in sysfs: {wrong}" if wrong else 0)
	END
}

list_is_sysfs() {
	pcidev list --json >$tmp/list || die "no list"
	compare $tmp/list
	same "functions in the table" "$(all_functions)" "$(pcidev | sed -n 's/^\([0-9a-f:.]*\) .*/\1/p')"
}

# The comparison itself: each of these is wrong.
comparison_sees() {
	for change in 's/"gsi": [0-9]*/"gsi": 99/' 's/"driver": null/"driver": "x"/' 's/"msix": "free"/"msix": "held"/' \
		      's/"holder": "none"/"holder": "pciback"/'; do
		sed "$change" $tmp/list >$tmp/wrong
		! compare $tmp/wrong 2>/dev/null || die "not seen: $change"
	done
}

show_is_list() {
	for function in $(all_functions); do
		pcidev show ${function#0000:} --json
	done | python3 -c '
import json, sys
decoder, text, shown = json.JSONDecoder(), sys.stdin.read().strip(), []
while text:
    function, end = decoder.raw_decode(text)
    shown.append(function)
    text = text[end:].strip()
sys.exit(shown != json.load(open(sys.argv[1])))' $tmp/list || die "show and list differ"
}

watch_sees() {
	pcidev watch >$tmp/watched 2>$tmp/watching &
	watcher=$!
	trap 'kill $watcher' EXIT
	wait_for 10 grep -q watching $tmp/watching
	seize $spare
	wait_for 10 grep -qx "$spare driver: none -> pciback" $tmp/watched
	[ ! -e $pciback/do_flr ] || wait_for 10 grep -q "^$spare state: none -> " $tmp/watched
	give_back $spare
	wait_for 10 grep -qx "$spare driver: pciback -> none" $tmp/watched
	same "lines about other functions" 0 $(grep -vc "^$spare " $tmp/watched)
}

ends_with() { # STATUS WORD-OF-THE-MESSAGE COMMAND [ARG...]
	status=$1 word=$2
	shift 2
	message=$("$@" 2>&1 >/dev/null)
	same "exit status of $*" $status $?
	case $message in
	*"$word"*) ;;
	*) die "$*: $message" ;;
	esac
}

statuses() {
	ends_with 0 "" pcidev
	ends_with 1 "no such PCI function" pcidev show ffff:ff:1f.7
	ends_with 1 "no such PCI function" pcidev doctor ffff:ff:1f.7
	ends_with 1 "no PCI function uses it" pcidev gsi 4095
	ends_with 2 "such as 0000:03:00.0" pcidev show 03
	ends_with 2 "possible values" pcidev doctor --ignore everything
	ends_with 2 "unexpected argument" pcidev list --everything
}

has_serial_number() { # SBDF
	lspci -vv -s $1 | grep -qi 'serial number 52-54-00'
}

# Of the one that the spare function has, in words and in the dump.
has_serial() { # FILE
	grep -qi '52[-: ]54[-: ]00' $1
}

reports() {
	lspci -vvvxxxx -s $spare >$tmp/lspci
	has_serial $tmp/lspci || die "it has no serial number"
	pcidev report $spare --output $tmp/report 2>$tmp/said || die "$(cat $tmp/said)"
	for part in "pcidev doctor" "pcidev groups" "xl info" "xl dmesg" "lspci -vvv -nn -xxxx -s $spare"; do
		grep -qx "===== $part" $tmp/report || die "no $part"
		grep -q "^  $part ([0-9]* lines)\$" $tmp/said || die "it does not say that $part is in it"
	done
	grep -q "^removed: .*serial numbers: " $tmp/said || die "$(cat $tmp/said)"
	! has_serial $tmp/report || die "a serial number is in it: $(grep -i '52[-: ]54[-: ]00' $tmp/report)"
	grep -q '^[0-9a-f]*: .*-- -- -- --' $tmp/report || die "the dump is not there"
	same "mode" 600 "$(stat -c %a $tmp/report)"
	ends_with 1 "name another file by --output" pcidev report $spare --output $tmp/report
}

completes() {
	for shell in bash fish zsh; do
		pcidev completion $shell >$tmp/$shell && grep -q doctor $tmp/$shell || die "$shell"
	done
	bash -ec '. $0; complete -p pcidev' $tmp/bash
}

command -v pcidev >/dev/null || skip_all "needs the program pcidev: make samples"
[ -e /dev/xen/pcidev ] || skip_all "needs xen-pcidev"
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

plan 7
check "pcidev list is what sysfs says" list_is_sysfs
check "a list that differs is noticed" comparison_sees
check "pcidev show is what the list says" show_is_list
spare=$(spare_functions routed without_driver | head -n 1)
if [ "$spare" ] && [ -e $pciback ]; then
	check "pcidev watch sees a function go and come back" watch_sees
else
	skip "pcidev watch sees a function go and come back" "no unused function to seize, or no xen-pciback"
fi
spare=$(spare_functions has_serial_number | head -n 1)
if [ "$spare" ]; then
	check "a report has all of it, without serial numbers" reports
else
	skip "a report has all of it, without serial numbers" "no unused function with one"
fi
check "errors are one line, with the right exit status" statuses
check "shells can complete commands" completes
finish
