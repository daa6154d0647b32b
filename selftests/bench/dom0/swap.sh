# SPDX-License-Identifier: GPL-2.0
#
# Sourced by the measures: one driver after the other in the same dom0, and the
# functions that both can have.
#
# On real hardware PCIDEV_TEST_DEVICES names the functions to use.

. "${0%/*}/../../dom0/ktap.sh"
PATH="${0%/*}/../../../build/bin:$PATH"

quick() { # FEW MANY: how often
	if [ "${BENCH_QUICK-}" ]; then echo $1; else echo $2; fi
}

rounds=$(quick 2 5)

sample() { # MEASURE DRIVER X VALUE
	echo "sample $*"
}

give_up() {
	echo "$test_name: $*" >&2
	exit 1
}

# Both modules have one name, and modprobe knows one of them at most.
module_of() { # NAME
	file=$(module_file $1)
	[ "$file" ] || file="${0%/*}/../../../build/modules/$1.ko"
	[ -e "$file" ] || give_up "no $1.ko: run make modules"
	echo "$file"
}

stock_module() {
	find "/lib/modules/$(uname -r)/kernel" -name 'xen-pciback.ko*' | grep . || give_up "no stock xen-pciback"
}

unload() {
	for module in xen_pciback xen_pcidev; do
		! is_loaded $module || rmmod $module || give_up "$module cannot be unloaded"
	done
}

pciback_module() { # stock|rust
	case $1 in
	stock) stock_module ;;
	rust) module_of xen-pciback ;;
	esac
}

# Load this one instead of the other: "stock" alone, as users have it today, or
# "rust", which comes with xen-pcidev.
driver() { # stock|rust
	unload
	[ $1 = stock ] || insmod "$(module_of xen-pcidev)" || give_up "xen-pcidev cannot be loaded"
	insmod "$(pciback_module $1)" || give_up "xen-pciback ($1) cannot be loaded"
}

# In seconds, with more digits than are true.
now() {
	date +%s.%N
}

since() { # TIME
	echo "$1 $(now)" | awk '{ printf "%.3f\n", $2 - $1 }'
}

# A function that the stock driver can seize without xen-pcidev: it has an INTx
# line, and not MSI-X with a reset that Xen is told of too early.
for_both() { # SBDF
	has_pin $1 && ! has_flr_and_msix $1
}

with_flr() { # SBDF
	grep -qsw flr $devices/$1/reset_method
}

# $functions: so many that the conditions hold for, or as many as there are.
find_functions() { # NUMBER COMMAND...
	most=$1
	shift
	functions=$(spare_functions "$@" | head -n $most)
	[ "$functions" ] || give_up "needs an unused function: $*"
	count=$(echo "$functions" | wc -l)
}

# Where it is not resets that are measured: 200 of them take long.
without_reset() {
	trap with_reset EXIT
	for function in $functions; do echo >$devices/$function/reset_method; done
}

with_reset() {
	for function in $functions; do echo default >$devices/$function/reset_method; done
}

first() { # NUMBER
	echo "$functions" | head -n $1
}
