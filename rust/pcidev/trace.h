/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Trace events of xen-pcidev. An SBDF is printed as Linux names the device;
 * err is 0 or a negative errno.
 */

#undef TRACE_SYSTEM
#define TRACE_SYSTEM xen_pcidev

#if !defined(_XEN_PCIDEV_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define _XEN_PCIDEV_TRACE_H

#include <linux/tracepoint.h>

#define show_interface(interface) \
	__print_symbolic(interface, { 0, "privcmd" }, { 1, "pcidev" }, \
			 { 2, "sysfs" })

TRACE_EVENT(pcidev_seize,
	    TP_PROTO(u32 sbdf),
	    TP_ARGS(sbdf),
	    TP_STRUCT__entry(__field(u32, sbdf)),
	    TP_fast_assign(__entry->sbdf = sbdf;),
	    TP_printk("%04x:%02x:%02x.%u",
		      __entry->sbdf >> 16, __entry->sbdf >> 8 & 0xff,
		      __entry->sbdf >> 3 & 0x1f, __entry->sbdf & 7)
);

TRACE_EVENT(pcidev_unmask,
	    TP_PROTO(u32 sbdf, u32 gsi, u32 irq, int err),
	    TP_ARGS(sbdf, gsi, irq, err),
	    TP_STRUCT__entry(__field(u32, sbdf)
			     __field(u32, gsi)
			     __field(u32, irq)
			     __field(int, err)),
	    TP_fast_assign(__entry->sbdf = sbdf;
			   __entry->gsi = gsi;
			   __entry->irq = irq;
			   __entry->err = err;),
	    TP_printk("%04x:%02x:%02x.%u gsi=%u irq=%u err=%d",
		      __entry->sbdf >> 16, __entry->sbdf >> 8 & 0xff,
		      __entry->sbdf >> 3 & 0x1f, __entry->sbdf & 7,
		      __entry->gsi, __entry->irq, __entry->err)
);

TRACE_EVENT(pcidev_line,
	    TP_PROTO(u32 gsi, int lent, int err),
	    TP_ARGS(gsi, lent, err),
	    TP_STRUCT__entry(__field(u32, gsi)
			     __field(int, lent)
			     __field(int, err)),
	    TP_fast_assign(__entry->gsi = gsi;
			   __entry->lent = lent;
			   __entry->err = err;),
	    TP_printk("gsi=%u lent=%d err=%d",
		      __entry->gsi, __entry->lent, __entry->err)
);

TRACE_EVENT(pcidev_hold,
	    TP_PROTO(u32 sbdf, u32 entries, int pirq, int err),
	    TP_ARGS(sbdf, entries, pirq, err),
	    TP_STRUCT__entry(__field(u32, sbdf)
			     __field(u32, entries)
			     __field(int, pirq)
			     __field(int, err)),
	    TP_fast_assign(__entry->sbdf = sbdf;
			   __entry->entries = entries;
			   __entry->pirq = pirq;
			   __entry->err = err;),
	    TP_printk("%04x:%02x:%02x.%u entries=%u pirq=%d err=%d",
		      __entry->sbdf >> 16, __entry->sbdf >> 8 & 0xff,
		      __entry->sbdf >> 3 & 0x1f, __entry->sbdf & 7,
		      __entry->entries, __entry->pirq, __entry->err)
);

TRACE_EVENT(pcidev_reset,
	    TP_PROTO(u32 sbdf, int err),
	    TP_ARGS(sbdf, err),
	    TP_STRUCT__entry(__field(u32, sbdf)
			     __field(int, err)),
	    TP_fast_assign(__entry->sbdf = sbdf;
			   __entry->err = err;),
	    TP_printk("%04x:%02x:%02x.%u err=%d",
		      __entry->sbdf >> 16, __entry->sbdf >> 8 & 0xff,
		      __entry->sbdf >> 3 & 0x1f, __entry->sbdf & 7,
		      __entry->err)
);

TRACE_EVENT(pcidev_release,
	    TP_PROTO(u32 sbdf, int err),
	    TP_ARGS(sbdf, err),
	    TP_STRUCT__entry(__field(u32, sbdf)
			     __field(int, err)),
	    TP_fast_assign(__entry->sbdf = sbdf;
			   __entry->err = err;),
	    TP_printk("%04x:%02x:%02x.%u err=%d",
		      __entry->sbdf >> 16, __entry->sbdf >> 8 & 0xff,
		      __entry->sbdf >> 3 & 0x1f, __entry->sbdf & 7,
		      __entry->err)
);

TRACE_EVENT(pcidev_lookup,
	    TP_PROTO(u32 interface, u32 sbdf, s64 value),
	    TP_ARGS(interface, sbdf, value),
	    TP_STRUCT__entry(__field(u32, interface)
			     __field(u32, sbdf)
			     __field(s64, value)),
	    TP_fast_assign(__entry->interface = interface;
			   __entry->sbdf = sbdf;
			   __entry->value = value;),
	    TP_printk("%s %04x:%02x:%02x.%u value=%lld",
		      show_interface(__entry->interface),
		      __entry->sbdf >> 16, __entry->sbdf >> 8 & 0xff,
		      __entry->sbdf >> 3 & 0x1f, __entry->sbdf & 7,
		      __entry->value)
);

#endif

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH .
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE trace
#include <trace/define_trace.h>
