#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# What guests get of an Intel GPU. Would catch: an address of the host that a guest reads, a
# reset that loses what firmware wrote for the driver, a device model that maps what is not an
# OpRegion to a guest (machine page 0 if there is none), and a guest without part of the VBT.
#
# LONG=yes: also with a guest that has the other GPU.

. "${0%/*}/ktap.sh"
. "${0%/*}/toolstack"
. "${0%/*}/animals"
. "${0%/*}/guests"

gpu=0000:00:02.0 elsewhere=0000:00:03.0
memory="${0%/*}/memory.py"
wants $gpu $elsewhere

register() { # SBDF OFFSET
	echo 0x$(setpci -s $1 $2.l)
}

# In sysfs: class, ASLS, BDSM of generation 9, or 11 and later.
shows() { # SBDF
	echo "$(cat $devices/$1/class) $(register $1 fc) $(register $1 5c) $(register $1 c0)"
}

sizes() { # SBDF
	stat -c %s $devices/$1/class $devices/$1/config
}

has_its_own() {
	same "GPU" "$own" "$(shows $gpu)"
	same "the other GPU" "$own_elsewhere" "$(shows $elsewhere)"
	same "sizes" "$own_sizes" "$(sizes $gpu) $(sizes $elsewhere)"
}

# The newest message about its OpRegion.
logged() { # SBDF TEXT
	log | grep "$1: .*OpRegion" | tail -n 1 | grep -qF "$2" || die "not logged: $2: $(log | grep "$1" | tail -n 5)"
}

examined() { # TEXT...
	report=$(pcidev doctor $gpu | tr -s ' \n' ' ')
	for text; do
		case $report in *"$text"*) ;; *) die "the doctor does not say '$text': $report" ;; esac
	done
}

# OpRegion and VBT.
contents() {
	$memory $asls $((0x2000 + ${vbt:-0})) | sha256sum
}

# To root alone.
file_says() { # TEXT
	same "file opregion" "400 $1" "$(stat -c %a $devices/$gpu/xen/opregion) $(cat $devices/$gpu/xen/opregion)"
}

# The control register of MSI-X: the number of entries less 1.
msix_is() { # SBDF WANTED
	same "MSI-X" $2 "$(setpci -s $1 b2.w)"
}

valid() {
	examined "Intel graphics with OpRegion $version" 'gfx_passthru = "igd"' "$stolen" \
		${vbt:+"extended VBT of $vbt bytes"}
	file_says "$version ${vbt:-0}"
	before=$(contents)
	assignable $gpu
	same "GPU" "$own" "$(shows $gpu)"
	file_says "$version ${vbt:-0}"
	logged $gpu "OpRegion $version at $asls: guests with gfx_passthru get it"
	returned $gpu
	same "OpRegion, returned" "$before" "$(contents)"
}

# As QEMU reads it, after a text as administrators write it, and a byte of 1 as QEMU does.
rom_is() { # HEX
	same "ROM" $1 "$(dd if=$devices/$gpu/rom bs=2 count=1 2>/dev/null | od -An -tx1 | tr -d ' \n')"
}

resources() {
	sed -n '7p' $devices/$gpu/resource
}

rom() {
	before=$(cat $devices/$gpu/resource)
	[ "$(resources)" != "$none" ] || die "it has no ROM: $before"
	rom_is ""
	assignable $gpu
	rom_is 55aa
	printf '\1' >$devices/$gpu/rom 2>/dev/null
	rom_is 55aa
	same "the ROM's line" "$none" "$(resources)"
	same "others" "$(echo "$before" | sed 7d)" "$(sed 7d $devices/$gpu/resource)"
	returned $gpu
	rom_is ""
	same "resources" "$before" "$(cat $devices/$gpu/resource)"
}

# Each clears them.
resets() { # ANIMAL
	[ "$(fact $1 resets.flr)" -gt 0 ] || die "it was not reset"
}

restored() {
	resets $animal.0
	same "GPU" "$own" "$(shows $gpu)"
	assignable $elsewhere
	returned $elsewhere
	resets igd-elsewhere.0
	has_its_own
	log | grep -F "$elsewhere: firmware register 0x50 reads 0x0, not 0x1c1 as before the reset, and cannot" ||
		die "the log does not say so"
}

hidden="0x038000 0x00000000 0x00000000 0x00000000"

# Firmware that sets another address.
refused_at() { # ADDRESS REASON
	setpci -s $gpu fc.l=$1
	assignable $gpu
	shown=$(shows $gpu)
	file_says "invalid: $2"
	returned $gpu
	returned=$(shows $gpu | cut -d ' ' -f 1-2)
	setpci -s $gpu fc.l=$asls
	same "OpRegion at $1" "$hidden" "$shown"
	logged $gpu "OpRegion at $1 is not valid ($2): guests cannot have this GPU"
	same "OpRegion at $1, returned" "0x030000 0x$(printf %08x $1)" "$returned"
}

not_an_address() {
	reserved="firmware has not reserved all of the three pages there"
	refused_at 0x0 "there is no address"
	refused_at 0x1000000 "$reserved"
	refused_at 0xffffffff "$reserved"
	refused_at 0x9f000 "$reserved"
	# The first page after it is not reserved.
	refused_at 0x7fffe000 "$reserved"
	refused_at 0x$(printf %x $((asls - 0x1000))) "no signature IntelGraphicsMem there"
	has_its_own
}

# Firmware that writes something else.
refused_with() { # OFFSET HEX REASON
	at=$((asls + $1))
	before=$($memory $at $((${#2} / 2)))
	$memory $at write $2
	assignable $gpu
	shown=$(shows $gpu)
	file_says "invalid: $3"
	examined "Intel graphics whose OpRegion is not valid ($3): QEMU refuses them"
	returned $gpu
	$memory $at write $before
	same "OpRegion with $2 at $1" "$hidden" "$shown"
	logged $gpu "OpRegion at $asls is not valid ($3)"
}

not_an_opregion() {
	bounds="the address or size of its extended VBT is impossible"
	refused_with 15 4d "no signature IntelGraphicsMem there"
	refused_with 0x10 10000000 "its size is not 8 KiB"
	refused_with 0x17 00 "its version is 0"
	refused_with 0x3ba ff1f000000000000 "$bounds"
	refused_with 0x3ba ffffffffffffffff "$bounds"
	refused_with 0x3c2 00000100 "$bounds"
	refused_with 0x3ba 0000010000000000 "firmware has not reserved the memory of its extended VBT"
	valid
}

# An older version, whose address of an extended VBT is absolute.
absolute() {
	$memory $((asls + 0x16)) write 0002
	$memory $((asls + 0x3ba)) write $(printf '%08x' $((asls + 0x2000)) | sed 's/\(..\)\(..\)\(..\)\(..\)/\4\3\2\1/')00000000
	version=2.0
	(valid)
	status=$?
	refused_with 0x3ba ff1f000000000000 "firmware has not reserved the memory of its extended VBT"
	$memory $((asls + 0x16)) write 0102
	$memory $((asls + 0x3ba)) write 0020000000000000
	return $status
}

# Each call of the guard that can fail, failing, where QEMU would map machine page 0.
failures() {
	fault=/sys/module/xen_pcidev/parameters/fault
	setpci -s $gpu fc.l=0
	n=0 left=0
	while [ $left = 0 ]; do
		n=$((n + 1))
		echo $n >$fault
		xl pci-assignable-add $gpu || :
		left=$(cat $fault)
		echo 0 >$fault
		class=$(cat $devices/$gpu/class || :)
		case ${class:-missing} in
		missing | 0x038000) ;;
		*) [ -z "$(driver_of $gpu)" ] || die "with failure $n: class $class, $(log | tail -n 8)" ;;
		esac
		[ -z "$(driver_of $gpu)" ] || returned $gpu
	done
	setpci -s $gpu fc.l=$asls
	[ $n -gt 10 ] || die "only $n failures"
	log | grep -q "its file class cannot be replaced" || die "that did not fail"
	has_its_own
}

hidden_elsewhere() {
	msix_is $elsewhere 0002
	assignable $elsewhere
	same "GPU in slot 3" "$hidden" "$(shows $elsewhere)"
	msix_is $elsewhere 0001
	logged $elsewhere "guests get no OpRegion: QEMU maps only that of 0000:00:02.0"
	returned $elsewhere
	has_its_own
	msix_is $elsewhere 0002
}

# Without the guard, QEMU fails at two files of a GPU with a ROM.
prepare() {
	echo 1 >$devices/$gpu/rom
	awk 'NR == 7 { $1 = $2 = $3 = "0x0000000000000000" } { print }' $devices/$gpu/resource >$tmp/resource
	mount --bind $tmp/resource $devices/$gpu/resource
}

undo() {
	[ $guard = Y ] || umount $devices/$gpu/resource
	setpci -s $gpu fc.l=$asls
}

prepared() { # COMMAND...
	[ $guard = Y ] || prepare
	trap undo EXIT
	"$@"
}

# A guest says what it reads, and what is at the address.
sees() { # NAME SBDF [OPTION]
	xl dmesg -c >/dev/null
	guest-run --name $1 --keep --pci $2 --cmdline iomem=relaxed ${3:+--option "$3"} "$(
		in_guest <<-'END'
			for dir in /sys/bus/pci/devices/*; do
				case $(cat $dir/vendor):$(cat $dir/class) in
				0x8086:0x03*)
					register() {
						hexdump -s $1 -n 4 -e '1/4 "0x%08x"' $dir/config
					}
					echo $(register 252) $(register 92) $(register 192)
					[ $(register 252) = 0x00000000 ] || busybox devmem $(register 252) 64
					;;
				esac
			done
		END
	)"
}

mapped() { # PAGE
	xl dmesg | grep -q "memory_map:add: .* mfn=$1 nr=3"
}

guest_with_opregion() {
	assignable $gpu
	# "IntelGra"
	same "the guest sees" "0xfdffc000 ${own#* * }
0x6172476C65746E49" "$(sees one $gpu "$igd")"
	mapped $(printf %x $((asls >> 12))) || die "$(xl dmesg | grep memory_map)"
	log | grep "domain $(xl domid one) has a copy of the OpRegion" || die "it has the pages of the host"
}

starts_with() { # ADDRESS HEX
	[ "$($memory $1 $((${#2} / 2)))" = $2 ]
}

# In memory of its own, at an address of its own.
own_vbt() {
	# "$VBT ZOO", "VBT-END."
	same "the guest sees" "0x0200 0x00000000FE100000
0x4F4F5A2054425624
0x2E444E452D544256" "$(tell one <<-END
		echo \$(busybox devmem 0xfdffc016 16) \$(busybox devmem 0xfdffc3ba 64)
		busybox devmem 0xfe100000 64
		busybox devmem $((0xfe100000 + vbt - 8)) 64
		busybox devmem 0xfe100000 32 0
	END
	)"
	starts_with $((asls + 0x2000)) 24564254 || die "the guest's write reached the firmware's VBT"
}

# The device model has the file open.
stays() {
	node=$(stat -c %i $devices/$gpu/config)
	! rmmod xen_pcidev || die "the module was unloaded"
	echo $gpu >$pciback/unbind
	same "the file config" "$node" "$(stat -c %i $devices/$gpu/config)"
	log | grep -q "$gpu.*stays held for guests" || die "the log does not say so"
	[ "$(opregion_of one)" = 0xfdffc000 ] || die "the guest reads $(opregion_of one)"
}

opregion_of() { # GUEST
	echo "hexdump -s 252 -n 4 -e '1/4 \"0x%08x\"' /sys/bus/pci/devices/0000:00:02.0/config" | tell $1
}

# Behind the OpRegion the host has its VBT.
guest_writes() {
	# "IntelGra"
	same "the OpRegion, and behind it" "0x6172476C65746E49
0x00000000" "$(tell one <<-END
		busybox devmem 0xfdffc000 64
		busybox devmem 0xfdffc000 32 0x6b6c6d6e
		busybox devmem 0xfdffe000 32
		busybox devmem 0xfdffe000 32 0x6b6c6d6e
	END
	)"
	same "the guest reads" 0x6B6C6D6E "$(echo busybox devmem 0xfdffc000 32 | tell one)"
	starts_with $asls 496e7465 || die "the guest's write reached the host"
	starts_with $((asls + 0x2000)) 24564254 || die "the guest's write reached the page behind it"
}

# As by a guest that has the pages of the host mapped.
written() {
	$memory $asls write 6e6d6c6b
	$memory $((asls + 0x2000)) write 6e6d6c6b
	xl destroy one
	# "IntelGraphicsMem", "$VBT"
	wait_for 10 starts_with $asls 496e74656c47726170686963734d656d
	wait_for 10 starts_with $((asls + 0x2000)) 24564254
	wait_for 10 assignable $gpu
	returned $gpu
	same "OpRegion" "$own_contents" "$(contents)"
	has_its_own
}

guest_without_address() {
	setpci -s $gpu fc.l=0
	assignable $gpu
	! said=$(sees two $gpu "$igd" 2>&1) || die "QEMU takes the GPU: $(xl dmesg | grep memory_map)"
	echo "$said" | grep -q "Need to enable igd-passthru" || die "$said"
	! mapped 0 || die "machine page 0 was mapped to a guest"
	xl destroy two 2>/dev/null
	returned $gpu
}

guest_elsewhere() {
	assignable $elsewhere
	same "the guest sees" "0x00000000 0x00000000 0x00000000" "$(sees three $elsewhere "$igd")"
	xl destroy three
	wait_for 10 is $elsewhere clean
	returned $elsewhere
}

is_a_vga_controller() {
	setpci -s $gpu fc.l=$(register $elsewhere fc)
	! [ -e $devices/$gpu/rom ] || die "it has a ROM"
	assignable $gpu
	same "class" "0x030000 0300" "$(cat $devices/$gpu/class) $(setpci -s $gpu a.w)"
	msix_is $gpu 0001
	rom_is 55aa
	printf '\1' >$devices/$gpu/rom || die "the ROM cannot be written"
}

is_as_before() {
	returned $gpu
	same "class" "0x038000 0380" "$(cat $devices/$gpu/class) $(setpci -s $gpu a.w)"
	msix_is $gpu 0002
	! [ -e $devices/$gpu/rom ] || die "it has a ROM"
}

headless_guest() {
	found=$(sees one $gpu "$igd") || die "$found"
	same "the guest sees" "0xfdffc000 0x6172476C65746E49" "$(echo $found | cut -d ' ' -f 1,4)"
	same "class and MSI-X in the guest" "030000 0001" "$(tell one <<-'END'
		hexdump -v -s 9 -n 3 -e '1/1 "%02x"' /sys/bus/pci/devices/0000:00:02.0/config | sed 's/\(..\)\(..\)\(..\)/\3\2\1 /'
		hexdump -s 178 -n 2 -e '1/2 "%04x"' /sys/bus/pci/devices/0000:00:02.0/config
	END
	)"
	xl destroy one
	wait_for 10 is $gpu clean
}

headless() {
	plan 3
	check "a GPU without VGA and ROM is a VGA controller with a ROM" is_a_vga_controller
	check "a guest finds the OpRegion at the address that it reads" headless_guest
	check "in dom0 it is as before" is_as_before
	finish
}

reserved() {
	xl dmesg | grep -A 1 "found ACPI_DMAR_RMRR" | grep "endpoint: $gpu" || die "Xen has found no RMRR: $(xl dmesg | grep -i dmar)"
	same "regions" "$gpu count=1 0x7cf00000+0x2000000" "$(ask reserved 8 $gpu)"
	case $(pcidev doctor $gpu) in *stolen-memory*) die "the doctor finds no RMRR" ;; esac
}

mark() { # HEX
	$memory 0x7cf01000 write $1
}

# In memory of the host that is not the guest's: at the same address.
shared() { # NAME HEX
	same "the guest $1 reads" 0x$2 "$(echo "busybox devmem 0x7cf01000 32; busybox devmem 0x7eeff000 32 0x$2" | tell $1)"
	same "dom0 reads" $2 "$($memory 0x7eeff000 4 | sed 's/\(..\)\(..\)\(..\)\(..\)/\4\3\2\1/')"
}

stolen_memory() {
	mark 10325476
	shared one 76543210
	xl destroy one
	wait_for 20 is $gpu clean
}

# A guest whose own memory would reach the region: as the doctor and the guide say.
large_guest() {
	cat >$tmp/large.cfg <<-END
		type = "hvm"
		name = "large"
		memory = 2040
		pci = ["$gpu"]
		$igd
		vga = "none"
		vnc = 0
	END
	case $(pcidev doctor $tmp/large.cfg | tr -s ' \n' ' ') in
	*'xl refuses that ("RDM conflict")'*"rdm_mem_boundary = 1998, or at most 1999 MiB of memory"*) ;;
	*) die "$(pcidev doctor $tmp/large.cfg)" ;;
	esac
	! said=$(guest-create $tmp/large.cfg 2>&1) || die "xl takes it"
	echo "$said" | grep "RDM conflict" || die "$said"
	xl destroy large 2>/dev/null
	wait_for 20 is $gpu clean
	echo "rdm_mem_boundary = 1998" >>$tmp/large.cfg
	case $(pcidev doctor $tmp/large.cfg | tr -s ' \n' ' ') in
	*'xl refuses that ("RDM conflict")'*) die "the doctor still finds a conflict" ;;
	esac
	mark 89674523
	guest-run --name large --keep --mem 2040 --pci $gpu --cmdline iomem=relaxed --option "$igd" \
		--option "rdm_mem_boundary = 1998" "$(echo grep MemTotal /proc/meminfo | in_guest)"
	shared large 23456789
	xl destroy large
}

# One of another generation: other registers, without an extended VBT.
generation() {
	if [ $animal = igd-6 ]; then
		plan 6
		check "Xen and the doctor agree that firmware has reserved stolen memory" reserved
	else
		plan 3
	fi
	check "a GPU with a valid OpRegion stays as it is" valid
	check "a reset does not lose what firmware wrote, and what is lost is logged" restored
	check "a guest finds the OpRegion at the address that it reads" guest_with_opregion
	if [ $animal = igd-6 ]; then
		check "it finds reserved stolen memory there, too" stolen_memory
		check "so does one with much memory, with what the doctor recommends" large_guest
	else
		xl destroy one
	fi
	finish
}

none="0x0000000000000000 0x0000000000000000 0x0000000000000000"
asls=$(register $gpu fc)
own=$(shows $gpu) own_elsewhere=$(shows $elsewhere) own_sizes="$(sizes $gpu) $(sizes $elsewhere)"
igd='gfx_passthru = "igd"'
guard=$(cat /sys/module/xen_pcidev/parameters/guard)
case $(cat $devices/$gpu/device) in
0x0126) animal=igd-6 version=2.0 vbt="" stolen="Xen maps 0x7cf00000-0x7eefffff into its guest, at the same addresses" ;;
0x8a52) animal=igd-11 version=2.1 vbt="" stolen="64 MiB of stolen memory (0x78f00000-0x7cefffff) that firmware has not reserved" ;;
*)	animal=igd version=2.1 vbt=9216 stolen="32 MiB of stolen memory (0x7cf00000-0x7eefffff) that firmware has not reserved" ;;
esac
[ "$(cat $devices/$gpu/class)" = 0x030000 ] || headless
[ $animal = igd ] || generation

own_contents=$(contents)
plan 15
check "a GPU with a valid OpRegion stays as it is" valid
check "it has a ROM that can be read and is no resource, until it is returned" rom
check "a reset does not lose what firmware wrote, and what is lost is logged" restored
check "one with an address that is none is no VGA controller, and hides it" not_an_address
check "so is one whose OpRegion is none" not_an_opregion
check "the address of an extended VBT may be absolute" absolute
check "if anything fails that it needs to be refused, it is refused" failures
check "one that is elsewhere hides its addresses, and has them again in dom0" hidden_elsewhere
check "a guest finds the OpRegion at the address that it reads" prepared guest_with_opregion
check "it has a copy of the extended VBT in its own memory" own_vbt
check "file and module stay while the guest has the GPU, even if it is unbound" stays
check "what it writes there does not reach the host, and it does not see the page behind" guest_writes
check "what is written to that of the host is undone when it ends" written
check "without one, QEMU refuses the GPU and maps nothing" prepared guest_without_address
long "a guest with another GPU reads no address of the host" guest_elsewhere
finish
