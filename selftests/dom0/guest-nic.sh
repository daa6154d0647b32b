#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# The main job: a guest that owns a NIC gets its MSI-X interrupts. Would catch:
# Xen refusing to map them, because it does not know the NIC's MSI-X table.

. "${0%/*}/ktap.sh"
. "${0%/*}/guests"

wants $nic1

plan 5
check "a guest that owns the NIC comes up" start_guest n "" $nic1
check "it pings by MSI-X" can_ping n $mac1 $net1 "$msix"
check "the device model mapped every interrupt" no_mapping_error n
check "the guest is destroyed" destroyed n
check "the NIC is returned" returned $nic1
finish
