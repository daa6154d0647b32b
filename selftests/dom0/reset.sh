#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Functions with MSI-X and a function level reset. Would catch: Xen being told of
# the reset while the BARs are zero. It then finds dom0's memory where the MSI-X
# table would be (EEXIST), and the function cannot be seized.

. "${0%/*}/ktap.sh"

# What a reset must leave as it was.
registers() { # SBDF
	for bar in 0 1 2 3 4 5; do config $1 BASE_ADDRESS_$bar.l; done
	echo "decoding $((0x$(config $1 COMMAND) & 3))"
}

taken() { # SBDF
	before=$(registers $1)
	seize $1
	same "registers of $1" "$before" "$(registers $1)"
	same "reset methods of $1" "$methods" "$(cat $devices/$1/reset_method)"
}

round() { # SBDF
	methods=$(cat $devices/$1/reset_method)
	taken $1
	give_back $1
	same "registers of returned $1" "$before" "$(registers $1)"
	same "reset methods of returned $1" "$methods" "$(cat $devices/$1/reset_method)"
}

functions=$(spare_functions has_flr_and_msix)
[ "$functions" ] || skip_all "no spare function with MSI-X and FLR"

plan 2
check "they are seized and returned, with their registers as they were" each round
check "and once more" each round
finish
