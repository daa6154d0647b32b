#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Both drivers named xen-pciback, the script that chooses one, their options, and what
# driverctl has.

check() {
	return 0
}

installkernel() {
	hostonly='' instmods xen-pcidev xen-pciback
}

install() {
	inst_multiple cat modprobe uname /usr/lib/xen-pci/load-xen-pciback /usr/lib/modprobe.d/00-xen-pci.conf
	inst_multiple -o /etc/modprobe.d/xen-pciback.conf /etc/driverctl.d/pci-* \
		"/lib/modules/${kernel:?}/kernel/drivers/xen/xen-pciback/"xen-pciback.ko*
	inst_hook pre-udev 50 "${moddir:?}/load.sh"
}
