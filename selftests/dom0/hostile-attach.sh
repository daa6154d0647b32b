#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# A guest that takes its frontend away in the moment in which it is made, while a
# function is attached to it. Would catch: a function that a guest has and that
# xen-pciback does not know of: it would not stop the guest when that fails or is
# unplugged.

. "${0%/*}/ktap.sh"
. "${0%/*}/guests"

seed=${HOSTILE_SEED:-1}
nvme=0000:00:07.0
wants $nvme

comes() {
	start_guest h ""
}

starts() {
	tell h <<-END
		hostile-store $seed 600 -r device/pci/0 >/run/removed 2>&1 &
		sleep 1
		grep tried /run/removed
	END
}

has_it() {
	grep -qx "assigned $(xl domid h)" $devices/$nvme/pciback/state
}

frontend_is_gone() {
	! xenstore-exists /local/domain/$(xl domid h)/device/pci/0
}

attached() {
	xl pci-attach h $nvme || die "not attached"
	wait_for 10 has_it
	wait_for 10 frontend_is_gone
}

# Whether the guest was the first.
won() {
	log | grep -c "domain .* has removed its PCI frontend"
}

plan 5
check "the function is made assignable" assignable $nvme
check "a guest comes up" comes
check "it begins to take its frontend away" starts
check "xen-pciback knows of the function that it gets meanwhile" attached
tried 1 attachment to a guest without a frontend, $(won) before anybody saw one
destroyed h
check "the function is free when the guest is gone" free $nvme
returned $nvme
finish
