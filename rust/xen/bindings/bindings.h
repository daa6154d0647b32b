/* SPDX-License-Identifier: GPL-2.0 */
/* C declarations that crate `xen` needs and the kernel crate's bindings lack. */

#include <linux/acpi.h>
#include <linux/pci.h>
#include <xen/acpi.h>
#include <xen/events.h>
#include <xen/xen.h>
#include <xen/xenbus.h>
#include <xen/interface/memory.h>
#include <xen/interface/physdev.h>
#include <xen/interface/sched.h>
#include <xen/interface/xen.h>

/* bindgen does not evaluate macros that contain a cast. */
const u8 RUST_CONST_HELPER_ACPI_LEVEL_SENSITIVE = ACPI_LEVEL_SENSITIVE;
const u8 RUST_CONST_HELPER_ACPI_EDGE_SENSITIVE = ACPI_EDGE_SENSITIVE;
const u8 RUST_CONST_HELPER_ACPI_ACTIVE_HIGH = ACPI_ACTIVE_HIGH;
const u8 RUST_CONST_HELPER_ACPI_ACTIVE_LOW = ACPI_ACTIVE_LOW;
