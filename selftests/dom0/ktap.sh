# SPDX-License-Identifier: GPL-2.0
#
# Sourced by the tests: results in KTAP, and what several of them need.
#
# A test is "plan N", N points by "check", "long" or "skip", and "finish", which adds a
# point of its own: that the kernel had nothing to complain about meanwhile.

export LC_ALL=C PATH="${0%/*}/../../build/bin:$PATH:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
devices=/sys/bus/pci/devices
drivers=/sys/bus/pci/drivers
pciback=$drivers/pciback
test_name=$(basename "$0" .sh)
points=0
failures=0

# Lines of the kernel log that no test may cause; what a debug kernel (vm/debug.config)
# prints when it has found something is among them.
faults='BUG[: ]|WARNING:|Oops|general protection|UBSAN|KFENCE|refcount_t:|corruption|Redzone|Poison overwritten'
faults="$faults|non-static key|Call Trace:|blocked for more than|rcu:.*stall|nobody cared|Internal error|panicked at"

[ ! -e "${0%/*}/modprobe" ] || . "${0%/*}/modprobe"

plan() { # POINTS
	[ "$(id -u)" = 0 ] || skip_all "needs root"
	marker="selftest $test_name $$"
	echo "$marker" >/dev/kmsg
	echo "KTAP version 1"
	echo "1..$(($1 + 1))"
}

skip_all() { # REASON
	echo "KTAP version 1"
	echo "1..0 # SKIP $*"
	exit 4
}

# Run a command in a shell of its own; all that it says is shown if it fails.
# A command that the shell does not find has failed, whatever follows it.
check() { # SENTENCE COMMAND [ARG...]
	points=$((points + 1))
	sentence=$1
	shift
	if output=$("$@" 2>&1) && ! printf '%s\n' "$output" | grep -qE '^/[^ ]*: [0-9]+: .*: not found$'; then
		printf '%s\n' "$output" | sed -n 's/^known: /# &/p'
		echo "ok $points $sentence"
	else
		[ -z "$output" ] || printf '%s\n' "$output" | sed 's/^/# /'
		echo "not ok $points $sentence"
		failures=$((failures + 1))
	fi
}

skip() { # SENTENCE REASON
	points=$((points + 1))
	echo "ok $points $1 # SKIP $2"
}

# A point for the hard tests, which set LONG: it takes a minute or more here, or shows what others
# show, too.
long() { # SENTENCE COMMAND [ARG...]
	if [ "${LONG-}" ]; then check "$@"; else skip "$1" "long: LONG=yes"; fi
}

# A row of the table at the end of all tests.
tried() { # NUMBER WHAT...
	echo "# tried: $*"
}

finish() {
	check "the kernel log has no fault" no_fault
	[ $failures = 0 ]
	exit
}

no_fault() {
	! log | faulty
}

# Each fault of a kernel log with what follows it; fails if there is none.
faulty() {
	grep -E -A 40 "$faults" | head -n 400 | grep .
}

log() { # the kernel's messages since "plan"
	dmesg | sed -n "/$marker/,\$p"
}

# In what "check" runs: give up, and say why.
die() {
	echo "$*"
	exit 1
}

# In what "check" runs: until a command succeeds.
wait_for() { # SECONDS, on a machine that is not $SLOW times as slow; COMMAND [ARG...]
	tenths=$(($1 * 10 * ${SLOW:-1}))
	shift
	until "$@" 2>/dev/null; do
		tenths=$((tenths - 1))
		[ $tenths -gt 0 ] || die "waited in vain: $*"
		sleep 0.1
	done
}

# The newest dump that one of Xen's debug keys made.
dump() { # KEY HEADER
	xl debug-keys $1 || die "xl debug-keys $1 failed"
	sleep 0.5
	xl dmesg | awk -v header="$2" 'index($0, header) { text = "" } { text = text $0 "\n" } END { printf "%s", text }'
}

dom0_has_line() { # GSI: Xen gives its interrupts to dom0
	dump i "IRQ information" | grep -q " IRQ: *$1 .* d0:"
}

# What the kernel tells udev.
uevents() {
	exec timeout 120 python3 -uIS -c '
import socket
kernel = socket.socket(socket.AF_NETLINK, socket.SOCK_DGRAM, 15)
kernel.bind((0, 1))
print("listening")
while True:
    print(kernel.recv(65536).replace(b"\0", b" ").decode())'
}

same() { # WHAT WANTED FOUND
	[ "$2" = "$3" ] || die "$1: wanted '$2', found '$3'"
}

# Our own machine, where every device is there to be used.
in_vm() {
	[ -e /vm/orders ]
}

module_file() {
	for file in "${0%/*}/../../build/modules/$1.ko" "/modules/$1.ko"; do
		[ ! -e "$file" ] || { echo "$file"; return; }
	done
}

is_loaded() {
	[ -e "/sys/module/$1" ]
}

load_pcidev() { # [PARAMETER...]
	file=$(module_file xen-pcidev)
	if [ "$file" ]; then
		insmod "$file" "$@"
	else
		modprobe xen-pcidev "$@"
	fi
}

driver_of() { # SBDF
	[ ! -e "$devices/$1/driver" ] || basename "$(readlink "$devices/$1/driver")"
}

all_functions() {
	ls $devices
}

# A byte, word or long of configuration space, as hex.
config() { # SBDF REGISTER
	setpci -s "$1" "$2"
}

has_pin() { # SBDF
	[ "$(config "$1" INTERRUPT_PIN)" != 00 ]
}

has_msix() { # SBDF
	setpci -s "$1" CAP_MSIX.w >/dev/null 2>&1
}

# The stock driver takes no function whose INTx it cannot route.
routed() { # SBDF
	has_pin "$1" || return
	[ ! -e $devices/$1/xen ] || cat $devices/$1/xen/gsi >/dev/null 2>&1
}

# Seizing what Xen refused when Linux added it (a VF, a hot-plugged function) takes
# the host down: the stock driver has Xen reset it, and Xen has no owner for it.
refused_by_xen() { # SBDF
	dmesg | grep -q "$1: Failed to add - passthrough"
}

has_flr_and_msix() { # SBDF
	has_msix $1 && grep -qw flr $devices/$1/reset_method
}

each() { # COMMAND: for each of $functions
	for function in $functions; do $1 $function || die "$function"; done
}

# Functions that may be seized: those that $PCIDEV_TEST_DEVICES names, or those
# that nobody uses (no driver; no bridge, no display, which firmware may use).
spare_functions() { # [COMMAND that a function has to satisfy]...
	for function in ${PCIDEV_TEST_DEVICES:-$(all_functions)}; do
		case $(cat $devices/$function/class) in
		0x03* | 0x06*) continue ;;
		esac
		[ -z "$(driver_of $function)" ] || [ "${PCIDEV_TEST_DEVICES-}" ] || continue
		! refused_by_xen $function || continue
		for wanted; do
			$wanted $function || continue 2
		done
		echo $function
	done
}

without_driver() { # SBDF
	[ ! -e $devices/$1/driver ]
}

seize() { # SBDF
	if [ "$(driver_of $1)" ]; then
		echo $1 >$devices/$1/driver/unbind || die "$1: its driver does not let go"
	fi
	echo $1 >$pciback/new_slot || die "$1: xen-pciback does not know new_slot"
	# The driver core offers it by itself, if it was plugged just now. The shell's own echo tells
	# no error from another.
	env echo $1 >$pciback/bind || (wait_for 5 is_seized $1) ||
		die "$1: xen-pciback does not take it: $(dmesg | grep $1 | tail -n 1)"
}

is_seized() { # SBDF
	[ "$(driver_of $1)" = pciback ]
}

give_back() { # SBDF
	echo $1 >$pciback/unbind || die "$1: xen-pciback does not let go"
	echo $1 >$pciback/remove_slot
}
