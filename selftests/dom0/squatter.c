// SPDX-License-Identifier: GPL-2.0
/*
 * For identity.sh: a driver with the name of another, PCI or xenbus.
 */

#include <linux/module.h>
#include <linux/pci.h>
#include <xen/xenbus.h>

static bool xenbus;
module_param(xenbus, bool, 0444);
MODULE_PARM_DESC(xenbus, "Squat on the name of the xenbus driver (default: PCI)");

static struct pci_driver pci_squatter = {
	.name = "pciback",
};

static const struct xenbus_device_id ids[] = {
	{ "squatter" },
	{ "" }
};

static struct xenbus_driver xenbus_squatter = {
	.name = "xen-pciback",
	.ids = ids,
};

static int __init squatter_init(void)
{
	return xenbus ? xenbus_register_backend(&xenbus_squatter) :
			pci_register_driver(&pci_squatter);
}
module_init(squatter_init);

static void __exit squatter_exit(void)
{
	if (xenbus)
		xenbus_unregister_driver(&xenbus_squatter);
	else
		pci_unregister_driver(&pci_squatter);
}
module_exit(squatter_exit);

MODULE_DESCRIPTION("A driver with the name of another");
MODULE_LICENSE("GPL");
