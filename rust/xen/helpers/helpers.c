// SPDX-License-Identifier: GPL-2.0
/*
 * Macros and inline functions as functions that Rust can call, one file for
 * each subsystem, sorted alphabetically. Nothing here decides anything.
 */

#define __rust_helper

#include "device.c"
#include "pci.c"
#include "pm.c"
#include "xen.c"
