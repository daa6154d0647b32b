// SPDX-License-Identifier: GPL-2.0
/* The trace events of xen-pcidev, and functions that raise them. */

#ifndef __BINDGEN__
#include <linux/module.h>
#define CREATE_TRACE_POINTS
#include "trace.h"
#define __rust_helper
#define event(x) x
#else
#include <linux/types.h>
#define event(x)
#endif

__rust_helper void rust_helper_trace_xen_seize(u32 sbdf)
{
	event(trace_seize(sbdf));
}

__rust_helper void rust_helper_trace_xen_unmask(u32 sbdf, u32 gsi, u32 irq,
						int err)
{
	event(trace_unmask(sbdf, gsi, irq, err));
}

__rust_helper void rust_helper_trace_xen_hold(u32 sbdf, u32 entries, int pirq,
					      int err)
{
	event(trace_hold(sbdf, entries, pirq, err));
}

__rust_helper void rust_helper_trace_xen_reset(u32 sbdf, int err)
{
	event(trace_reset(sbdf, err));
}

__rust_helper void rust_helper_trace_xen_release(u32 sbdf, int err)
{
	event(trace_release(sbdf, err));
}

__rust_helper void rust_helper_trace_xen_lookup(u32 door, u32 sbdf, s64 value)
{
	event(trace_lookup(door, sbdf, value));
}
