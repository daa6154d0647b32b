#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# The NUMA node that Xen knows of a function. Would catch: Xen being asked for a
# function as if its firmware had no _PXM. It forgets the node then.

. "${0%/*}/ktap.sh"

node() { # SBDF
	dump Q "==== PCI devices ====" | sed -n "s/.* $1 - .* - node \(-*[0-9]*\).*/\1/p"
}

stays() {
	same "node, as Linux has told it" 0 "$(node $function)"
	seize $function
	same "node of the seized function" 0 "$(node $function)"
	give_back $function
	same "node of the returned function" 0 "$(node $function)"
}

in_vm || skip_all "needs our own machine"
function=$(spare_functions | head -n 1)
[ "$function" ] || skip_all "no spare function"

plan 1
check "a function stays on its node" stays
finish
