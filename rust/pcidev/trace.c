// SPDX-License-Identifier: GPL-2.0
/* Trace events of xen-pcidev, and the functions that record them from Rust. */

#ifndef __BINDGEN__
#include <linux/module.h>
#define CREATE_TRACE_POINTS
#include "trace.h"
#define event(x) x
#else
#include <linux/types.h>
#define event(x)
#endif

void rust_helper_trace_pcidev_seize(u32 sbdf)
{
	event(trace_pcidev_seize(sbdf));
}

void rust_helper_trace_pcidev_unmask(u32 sbdf, u32 gsi, u32 irq, int err)
{
	event(trace_pcidev_unmask(sbdf, gsi, irq, err));
}

void rust_helper_trace_pcidev_line(u32 gsi, int lent, int err)
{
	event(trace_pcidev_line(gsi, lent, err));
}

void rust_helper_trace_pcidev_hold(u32 sbdf, u32 entries, int pirq, int err)
{
	event(trace_pcidev_hold(sbdf, entries, pirq, err));
}

void rust_helper_trace_pcidev_reset(u32 sbdf, int err)
{
	event(trace_pcidev_reset(sbdf, err));
}

void rust_helper_trace_pcidev_release(u32 sbdf, int err)
{
	event(trace_pcidev_release(sbdf, err));
}

void rust_helper_trace_pcidev_lookup(u32 interface, u32 sbdf, s64 value)
{
	event(trace_pcidev_lookup(interface, sbdf, value));
}
