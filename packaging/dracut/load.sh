#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Load xen-pciback before udev loads the drivers of hidden functions. Without Xen, load
# nothing, so that every function gets its own driver.
[ "$(cat /sys/hypervisor/type 2>/dev/null)" != xen ] || modprobe xen-pciback
