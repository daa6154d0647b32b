// SPDX-License-Identifier: GPL-2.0
/*
 * C macros and inline functions, wrapped for Rust: one file for each
 * subsystem, sorted alphabetically. The wrappers hold no logic of their own.
 */

#define __rust_helper

#include "device.c"
#include "pci.c"
#include "pm.c"
#include "xen.c"
