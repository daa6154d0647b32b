#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# All that can happen to a function, at once and from several tasks: binding,
# unbinding, hand-overs, resets of both kinds, unplugging, look-ups, reading every
# file, settings, loading and unloading. Wants two processors. Would catch: a task
# that never ends, a function that nobody can use or that stays with a guest that
# is gone, one that is changed, a module that cannot be unloaded any more.
#
# RACE_SECONDS: for how long. RACE_SEED: of the pauses, printed.

. "${0%/*}/ktap.sh"
. "${0%/*}/toolstack"

seconds=${RACE_SECONDS:-30}
seed=${RACE_SEED:-$(date +%s)}
port=port1 id=plugged

random() { # BELOW
	seed=$(((seed * 1103515245 + 12345) & 0x7fffffff))
	random=$((seed / 65536 % $1))
}

pause() { # TENTHS, at most
	random $(($1 * 10))
	sleep $((random / 100)).$((random / 10 % 10))$((random % 10))
}

pick() { # WORD...
	random $#
	shift $random
	picked=$1
}

one() {
	pick $functions
}

now_and_then() {
	random 2
	[ $random = 0 ]
}

# Runs COMMAND over and over, in a process of its own, and counts how often it did
# something and how often it was refused.
task() { # COMMAND
	seed=$((seed + 1))
	(
		worked=0 refused=0
		while [ ! -e $tmp/stop ]; do
			if $1; then
				worked=$((worked + 1))
				echo >$tmp/$1
			else
				refused=$((refused + 1))
			fi
		done
		echo $worked $refused >$tmp/count.$1
	) >$tmp/said.$1 2>&1 </dev/null &
	echo $! $1 >>$tmp/tasks
}

# The same for files, in a program: much is done in little time.
files() { # NAME MICROSECONDS [FILE VALUE]...
	name=$1 most=$2
	shift 2
	seed=$((seed + 1))
	# What is done in the shell is slower, and has to have its turn.
	nice -n 15 again $tmp/enough $most $seed "$@" >$tmp/count.$name 2>$tmp/said.$name &
	echo $! $name >>$tmp/tasks
}

start() {
	binds='' unbinds='' flrs='' resets='' settings=''
	for function in $functions; do
		binds="$binds $pciback/bind $function"
		unbinds="$unbinds $pciback/unbind $function"
		flrs="$flrs $pciback/do_flr $function"
		resets="$resets $devices/$function/reset 1"
		settings="$settings $devices/$function/power/control on $devices/$function/power/control auto
			$pciback/permissive $function $pciback/quirks $function-40:4:0
			$pciback/allow_interrupt_control $function
			$pciback/remove_slot $function $pciback/new_slot $function $pciback/new_slot $function"
	done
	files binds 100000 $binds
	files unbinds 1500000 $unbinds
	files flrs 600000 $flrs
	files resets 1000000 $resets
	files settings 300000 $settings
	set --
	for file in xen/gsi xen/irq xen/intx xen/msix pciback/state pciback/reset config resource reset_method; do
		for function in $functions; do set -- "$@" $devices/$function/$file ""; done
	done
	for file in slots quirks permissive allow_interrupt_control irq_handlers; do
		set -- "$@" $pciback/$file ""
	done
	for file in /sys/module/xen_pc*/parameters/*; do set -- "$@" $file ""; done
	files reads 50000 "$@"
	for name in $others; do task $name; done
}

# The files may be gone at any moment.
write() { # VALUE FILE
	[ -e $2 ] && echo $1 >$2
}

# A guest comes, may get one more, and goes: now and then at once.
hands_over() { # GUEST
	plays $1
	# A module that is wanted out has to have its turn.
	until [ ! -e $tmp/unload ] || [ -e $tmp/stop ]; do sleep 0.2; done
	one
	# Every other one has a careful toolstack, and is patient.
	patience=1
	now_and_then && patience=50 && write $picked $pciback/bind
	assign $picked
	pause 5
	one
	! now_and_then || add $picked
	pause 10
	until got=$(xenstore-read $backend/state-0); [ "$got" = 3 ] || [ -e $tmp/stop ] || [ $((patience -= 1)) = 0 ]; do
		sleep 0.2
	done
	! now_and_then || xenstore-write $backend/state-0 5 $backend/state 7
	gone
	pause 5
	[ "$got" = 3 ] && echo >$tmp/guest
}

first_guest() { hands_over 32749; }
second_guest() { hands_over 32748; }

replugs() {
	pause 60
	qmp '{"execute": "device_del", "arguments": {"id": "'$id'"}}' || return
	until [ ! -e $devices/$plugged ]; do sleep 0.1; done
	# The emulator is a little later than dom0.
	until qmp '{"execute": "device_add", "arguments": {"driver": "e1000e", "id": "'$id'", "bus": "'$port'"}}'; do
		sleep 0.3
	done
	until [ -e $devices/$plugged/driver_override ]; do sleep 0.1; done
} >/dev/null

# What was answered before any of this, or that the function, or the module, is gone;
# to libxl also that a function has no line, if it leaves a guest that keeps another
# on that line.
looks_up() {
	pause 10
	for interface in gsi privcmd; do
		other='ENODEV|EOPNOTSUPP'
		[ $interface != privcmd ] || other="$other|ENOENT"
		ask $interface $functions >$tmp/answers.new || continue
		cat $tmp/answers.new >>$tmp/answers
		grep -vxF -f $tmp/answers.$interface $tmp/answers.new | grep -vE " ($other)\$" >>$tmp/wrong
	done
	ask info $functions
	ask sysfs $functions
	ask list
} >/dev/null

configures() {
	pause 10
	one
	function=$picked
	pick 00 ff 0b
	setpci -s $function INTERRUPT_LINE=$picked
}

# Both modules, or one: xen-pcidev goes only while no MSI-X table is held.
reloads() {
	pause 60
	# Guests wait while one of these does: they have their turn, too.
	[ ! -s $tmp/pcidev ] || [ -s $tmp/guest ] || return
	touch $tmp/unload
	until rmmod xen_pciback; do
		[ ! -e $tmp/stop ] || return
		sleep 0.3
	done
	rm $tmp/unload
	pause 5
	if now_and_then || [ ! -s $tmp/pcidev ]; then
		rmmod xen_pcidev && load_pcidev && echo >>$tmp/pcidev
	fi
	one
	hide=
	! now_and_then || hide="hide=($plugged)($picked)"
	modprobe xen-pciback $hide || modprobe xen-pciback || touch $tmp/not_loaded
	new_slots
}

new_slots() {
	for function in $functions; do write $function $pciback/new_slot; done
}

lines() { # SBDF
	setpci -s $1 INTERRUPT_LINE
}

registers() { # SBDF
	for bar in 0 1 2 3 4 5; do config $1 BASE_ADDRESS_$bar.l; done
	config $1 COMMAND
	has_msix $1 && config $1 CAP_MSIX+2.w
	:
}

uptime() {
	cut -d. -f1 /proc/uptime
}

everything() {
	start
	sleep $seconds
	# A slow machine gets more time for what has not come yet, and less to do besides:
	# a function that is unbound again and again may never get to a guest.
	touch $tmp/enough
	end=$(($(uptime) + 120))
	for name in $wanted; do
		until [ -s $tmp/$name ] || [ $(uptime) -ge $end ]; do sleep 0.5; done
	done
	touch $tmp/stop
	# A function that is unplugged under a guest may take a minute.
	i=0
	while read -r pid name; do
		while kill -0 $pid 2>/dev/null; do
			i=$((i + 1))
			[ $i -lt 900 ] || stuck
			sleep 0.1
		done
	done <$tmp/tasks
	[ ! -e $tmp/not_loaded ] || die "xen-pciback could not be loaded: $(dmesg | tail -n 5)"
}

stuck() {
	while read -r pid name; do
		kill -0 $pid 2>/dev/null || continue
		for child in $pid $(pgrep -P $pid); do
			echo "$name ($(cat /proc/$child/comm)) hangs:"
			cat /proc/$child/stack
		done
	done <$tmp/tasks
	echo w >/proc/sysrq-trigger
	exit 1
}

all_right() {
	[ $(grep -vc ENODEV $tmp/answers) -gt 0 ] || die "nothing was answered"
	! sort $tmp/wrong | uniq -c | grep . || die "wrong answers"
}

all_happened() {
	for name in $names; do
		read -r worked refused <$tmp/count.$name || die "$name has not ended"
		case $name in *_guest) continue ;; esac
		[ $worked -gt 0 ] || die "$name never worked: $(tail -n 3 $tmp/said.$name)"
	done
	for name in $wanted; do
		[ -s $tmp/$name ] || die "it has never come to $name"
	done
}

# Whatever the end was.
settled() { # SBDF
	! xenstore-ls $backends 2>/dev/null | grep state || die "guests are left"
	write $1 $pciback/new_slot
	[ "$(driver_of $1)" ] || write $1 $pciback/bind || die "cannot be bound: $(dmesg | grep $1 | tail -n 3)"
	# Or somebody has just asked for a reset.
	within "state of $1" clean sed s/touched/clean/ $devices/$1/pciback/state
}

handed_over() { # SBDF
	plays 32747
	assign $1
	is $1 "assigned $guest"
	gone
	is $1 clean
}

returned() { # SBDF
	give_back $1
	setpci -s $1 INTERRUPT_LINE=$(cat $tmp/line.$1)
	echo on >$devices/$1/power/control
	same "registers" "$(cat $tmp/registers.$1)" "$(registers $1)"
}

unloaded() {
	rmmod xen_pciback || die "xen-pciback is in use: $(grep xen_pciback /proc/modules)"
	rmmod xen_pcidev || die "xen-pcidev is in use: $(grep xen_pcidev /proc/modules)"
	load_pcidev
	modprobe xen-pciback
}

well_reset() {
	# One that is unplugged in the middle of a reset was not reset well.
	! log | grep -v $plugged | grep -E "reset.* failed|left stopped|withdrawn: reset failed|cannot restore|takes no notice|not seized: .*failed" ||
		die "a reset, or what belongs to one, went wrong"
}

in_vm && [ -e $pciback/do_flr ] && is_loaded xen_pcidev && command -v xenstore-write >/dev/null ||
	skip_all "needs our own machine"
plugged=0000:01:00.0
functions="$(spare_functions routed has_msix | head -n 3) $plugged"
functions=$(printf '%s\n' $functions | sort -u)
[ $(echo "$functions" | wc -l) -ge 3 ] && [ -e $devices/$plugged ] || skip_all "needs three unused functions, one of them behind a port"
backends=/local/domain/0/backend/pci
tmp=$(mktemp -d)
touch $tmp/wrong $tmp/pcidev
needed="replugs looks_up configures reloads"
others="first_guest second_guest $needed"
names="binds unbinds flrs resets settings reads $others"
# In a short time, no function may stay long enough for a guest to get it.
wanted="pcidev $needed"
[ $seconds -lt 60 ] || wanted="$wanted guest"

plan 8
echo "# RACE_SEED=$seed, $(nproc) processors"
# The kernel's own log would not hold it all.
dmesg --follow >$tmp/log &
follower=$!
log() { sed -n "/$marker/,\$p" $tmp/log; }
# Then it is as it is after each plugging: firmware has not set its COMMAND.
replugs
for function in $functions; do
	lines $function >$tmp/line.$function
	registers $function >$tmp/registers.$function
done
for interface in gsi privcmd; do ask $interface $functions >$tmp/answers.$interface; done
new_slots

check "everything at once for $seconds s, and all of it ends" everything
for name in $names; do
	read -r worked refused <$tmp/count.$name && tried $worked "$name, and $refused refused"
done
tried "$(wc -l <$tmp/pcidev)" reloads of xen-pcidev
check "all of it happened" all_happened
check "every look-up was right meanwhile" all_right
check "no reset went wrong" well_reset
check "every function is clean, whatever the end was" each settled
check "every function is handed to a guest, and comes back" each handed_over
check "every function is returned as it was at first" each returned
check "both modules can be unloaded, and loaded again" unloaded
kill $follower
finish
