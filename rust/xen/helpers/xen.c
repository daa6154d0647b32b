// SPDX-License-Identifier: GPL-2.0

#include <linux/mm.h>
#include <xen/xen.h>
#include <asm/xen/hypercall.h>

__rust_helper int rust_helper_HYPERVISOR_memory_op(unsigned int cmd, void *arg)
{
	return HYPERVISOR_memory_op(cmd, arg);
}

__rust_helper int rust_helper_HYPERVISOR_physdev_op(int cmd, void *arg)
{
	return HYPERVISOR_physdev_op(cmd, arg);
}

__rust_helper int rust_helper_HYPERVISOR_sched_op(int cmd, void *arg)
{
	return HYPERVISOR_sched_op(cmd, arg);
}

__rust_helper void *rust_helper_page_address(const struct page *page)
{
	return page_address(page);
}

__rust_helper unsigned long rust_helper_page_to_pfn(const struct page *page)
{
	return page_to_pfn(page);
}

__rust_helper int rust_helper_xen_alloc_unpopulated_pages(unsigned int number, struct page **pages)
{
	return xen_alloc_unpopulated_pages(number, pages);
}

__rust_helper bool rust_helper_xen_domain(void)
{
	return xen_domain();
}

__rust_helper void rust_helper_xen_free_unpopulated_pages(unsigned int number, struct page **pages)
{
	xen_free_unpopulated_pages(number, pages);
}

__rust_helper bool rust_helper_xen_initial_domain(void)
{
	return xen_initial_domain();
}

__rust_helper bool rust_helper_xen_pv_domain(void)
{
	return xen_pv_domain();
}

__rust_helper bool rust_helper_xen_pvh_domain(void)
{
	return xen_pvh_domain();
}

/* Linux has no wrapper for domctls: only user space issues them, by privcmd. */
__rust_helper int rust_helper_HYPERVISOR_domctl(void *arg)
{
	return privcmd_call(__HYPERVISOR_domctl, (unsigned long)arg, 0, 0, 0, 0);
}
