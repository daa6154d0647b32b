#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Two guests with a device each on one INTx line. Would catch: one guest's
# device taking the line away from the other guest's.

. "${0%/*}/ktap.sh"
. "${0%/*}/guests"

wants $nic1 $nic2

plan 7
check "a guest with the one device comes up" start_guest a pci=nomsi $nic1
check "so does one with the other" start_guest b pci=nomsi $nic2
check "the first pings by INTx" can_ping a $mac1 $net1 "$intx"
check "so does the second" can_ping b $mac2 $net2 "$intx"
xl pci-detach a $nic1
check "the second pings after the first has lost its device" can_ping b $mac2 $net2 "$intx"
xl pci-attach a $nic1
xl destroy b
check "the first pings after it has it back and the second is gone" can_ping a $mac1 $net1 "$intx"
xl destroy a
check "both are returned" returned $nic1 $nic2
finish
