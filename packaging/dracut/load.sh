#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Load xen-pciback before udev loads the drivers of what it is to hide.
[ "$(cat /sys/hypervisor/type 2>/dev/null)" != xen ] || modprobe xen-pciback
