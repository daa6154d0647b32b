#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# pcidev try, with functions of several kinds. Would catch: one that works and is said not to,
# one that does not and is said to, a function that is not given back, a guest that is left,
# also if it is interrupted, and a function that is taken from dom0 while that uses it.
#
# LONG=yes: more kinds, and interrupted at more moments.

. "${0%/*}/ktap.sh"
. "${0%/*}/guests"

nic=0000:00:04.0 virtual=0000:00:06.0 disk=0000:00:07.0 usb=0000:00:08.0 edu=0000:00:09.0
with_firmware=0000:00:0a.0

# Again if the guest's kernel has rejected an intact module, as it does now and then in the emulator.
tries() { # SBDF [OPTION]...
	for attempt in 1 2 3; do
		said=$(pcidev try --kernel /boot/vmlinuz --cmdline "$fast" --timeout 400 "$@" 2>$tmp/steps)
		status=$?
		case $said in *"Key was rejected by service"*) ;; *) break ;; esac
		echo "a module was rejected: attempt $attempt" >&2
		rm /var/log/xen/*pcidev-try*
	done
	printf '%s\n' "$said"
	return $status
}

# The driver that it had before has it again.
passes() { # SBDF DRIVER KINDS DONE
	[ ! "$(driver_of $1)" ] || before=$(driver_of $1)
	said=$(tries $1 --json) || die "$said"
	printf '%s' "$said" | python3 -IS -c '
import json, sys
driver, kinds, done = sys.argv[1:]
cases = {case["name"]: case for case in json.load(sys.stdin)["cases"]}
guests = ["in a guest", "in a guest, INTx"][:len(kinds.split())]
assert sorted(cases) == sorted(["taken from dom0", *guests, "reset", "given back to dom0"]), list(cases)
for name, kind in zip(guests, kinds.split()):
    outcome = cases[name]["outcome"]
    assert outcome["driver"] == driver, outcome
    assert list(outcome["interrupts"]) == [kind], outcome
    assert (done in (outcome["did"] or "")) and (not done or outcome["interrupts"][kind] > 0), outcome' \
		"$2" "$3" "$4" || die "$said"
	left $1
	no_logs
}

left() { # SBDF
	same "driver of $1" "$before" "$(driver_of $1)"
	! xl list | grep pcidev-try || die "a guest is left"
	! xl pci-assignable-list | grep $1 || die "it is still assignable"
	same "scratch" "" "$(ls -d /tmp/pcidev-try-* 2>/dev/null)"
}

# Only what has failed leaves logs.
no_logs() {
	same "logs" "" "$(ls /var/log/xen | grep pcidev-try)"
}

# In a terminal, until it says STEP and some seconds longer; then HOW. Prints the signal that it died of, and its last
# line.
interrupt='
import os, pty, signal, sys, time
step, seconds, how, *command = sys.argv[1:]
pid, terminal = pty.fork()
if not pid:
    # Whoever started this may have had it ignored: then it stays so.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    os.execvp(command[0], command)
said = b""
def read():
    global said
    try:
        said += os.read(terminal, 4096)
        return True
    except OSError:
        return False
while step.encode() not in said:
    if not read():
        sys.exit(said.decode())
time.sleep(float(seconds))
if how == "closed":
    os.close(terminal)
elif how == "ctrl-c":
    os.write(terminal, b"\3")
else:
    os.kill(pid, signal.SIGTERM)
while how != "closed" and read():
    pass
status = os.waitpid(pid, 0)[1]
print(os.WTERMSIG(status), "" if how == "closed" else said.decode().splitlines()[-1])'

interrupted() { # STEP SECONDS HOW, WHAT IT SAYS
	before=$(driver_of $nic)
	said=$(python3 -IS -c "$interrupt" "$1 ..." $2 $3 \
		pcidev try $nic --kernel /boot/vmlinuz --cmdline "$fast" --timeout 400) || die "$said"
	same "signal, and last line" "$4" "$said"
	left $nic
	no_logs
}

is_interrupted() {
	back="$nic is with e1000e again"
	interrupted "taken from dom0" 0 ctrl-c "2 pcidev: interrupted by SIGINT: $back"
	interrupted "in a guest" 0 ended "15 pcidev: interrupted by SIGTERM: $back"
	[ "${LONG-}" ] || return 0
	interrupted "in a guest" 5 ctrl-c "2 pcidev: interrupted by SIGINT: $back"
	interrupted "reset" 0 closed "1 "
}

a_nic() {
	modprobe e1000e
	wait_for 5 test -d $devices/$nic/net
	same "driver" e1000e "$(driver_of $nic)"
	passes $nic e1000e "MSI-X INTx" "has a link"
}

a_virtual() {
	passes $virtual igb "MSI-X INTx" "has a link"
}

a_disk() {
	modprobe nvme
	wait_for 5 test -d $devices/$disk/nvme
	passes $disk nvme "MSI-X INTx" "1 MiB of nvme"
}

# Nothing is plugged in: no interrupt has to come.
a_usb() {
	passes $usb xhci_hcd "MSI-X INTx" ""
}

# Of the zoo: only the card itself knows that it was used.
an_animal() {
	animal=$(cd $devices && grep -l 0x8029 */device | cut -d / -f 1)
	passes $animal ne2k-pci INTx "has a link"
	facts=$(zoo '{"order": "facts", "function": "nic-ne2000.0", "fact": "interrupts"}')
	case $facts in *'"nic-ne2000.0": '[1-9]*) ;; *) die "no interrupt: $facts" ;; esac
}

# This one does not come up without; the emulator looks at no byte of it.
firmware() {
	! said=$(tries $with_firmware) || die "it works without: $said"
	case $said in
	*"(the guest's kernel: "*"e100/d102e_ucode.bin"*FAIL) ;;
	*) die "$said" ;;
	esac
	rm /var/log/xen/*pcidev-try*
	mkdir -p /lib/firmware/e100
	python3 -IS -c '
import lzma, sys
sys.stdout.buffer.write(lzma.compress(bytes(134 * 4 + 3), check=lzma.CHECK_CRC32))' >/lib/firmware/e100/d102e_ucode.bin.xz
	passes $with_firmware e100 INTx "has a link"
	rm -r /lib/firmware/e100
}

without_driver() {
	before=$(driver_of $edu)
	! said=$(tries $edu) || die "it works: $said"
	case $said in
	*"no driver of this kernel takes it in the guest"*FAIL) ;;
	*) die "$said" ;;
	esac
	guest=$(printf '%s\n' "$said" | sed -n 's/^for the log of the device model: pcidev doctor //p')
	report=$(pcidev doctor $guest) || true
	case $report in *"guest $guest: does not run"*) ;; *) die "$said $report" ;; esac
	case $said in *INTx,*) die "tried again: $said" ;; esac
	left $edu
}

not_taken() {
	refused="pcidev: dom0 uses $nic for the address 10.0.2.15 of $1: --force takes it all the same"
	! tries $nic || die "it was taken"
	same "error" "$refused" "$(cat $tmp/steps)"
	same "driver" e1000e "$(driver_of $nic)"
}

in_use() {
	name=$(ls $devices/$nic/net)
	ip address add 10.0.2.15/24 dev $name
	not_taken $name
}

forced() {
	before=e1000e
	tries $nic --force >$tmp/forced || die "$(cat $tmp/forced)"
	left $nic
}

refused() {
	! tries 00:1f.0 || die "a bridge was taken"
	same "error" "pcidev: 0000:00:1f.0: a bridge cannot be assigned to a guest" "$(cat $tmp/steps)"
	! pcidev try $disk --kernel /nowhere 2>$tmp/steps || die "without a kernel"
	same "error" "pcidev: /nowhere: no such kernel: name one by --kernel" "$(cat $tmp/steps)"
	xl pci-assignable-add $edu
	xenstore-write /local/domain/0/backend/pci/32749/0/dev-0 $edu
	! tries $edu || die "taken from a guest"
	same "error" "pcidev: $edu is assigned to guest 32749" "$(cat $tmp/steps)"
	xenstore-rm /local/domain/0/backend/pci/32749
	xl pci-assignable-remove $edu
}

[ -e $devices/$edu ] && command -v pcidev >/dev/null || skip_all "see tests.toml"

plan 11
check "a NIC" a_nic
check "one that is interrupted leaves nothing" is_interrupted
long "a NIC that has virtual functions" a_virtual
check "a disk" a_disk
long "a USB controller" a_usb
check "an emulated card of the zoo" an_animal
long "firmware that a driver needs" firmware
check "a function without a driver fails, in plain words" without_driver
check "what dom0 uses is not taken" in_use
long "but by force" forced
check "what no guest can have is refused" refused
finish
