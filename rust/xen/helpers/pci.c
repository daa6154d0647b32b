// SPDX-License-Identifier: GPL-2.0

#include <linux/acpi.h>
#include <linux/msi.h>
#include <linux/pci.h>
#include <linux/pci_hotplug.h>

__rust_helper void rust_helper_pci_clear_dev_assigned(struct pci_dev *dev)
{
	pci_clear_dev_assigned(dev);
}

__rust_helper int rust_helper_pci_domain_nr(struct pci_dev *dev)
{
	return pci_domain_nr(dev->bus);
}

__rust_helper bool rust_helper_pci_is_extfn(struct pci_dev *dev)
{
	return pci_ari_enabled(dev->bus) && PCI_SLOT(dev->devfn);
}

__rust_helper bool rust_helper_pci_is_virtfn(struct pci_dev *dev)
{
	return dev->is_virtfn;
}

__rust_helper struct pci_dev *rust_helper_pci_physfn(struct pci_dev *dev)
{
	return pci_physfn(dev);
}

__rust_helper void rust_helper_pci_set_dev_assigned(struct pci_dev *dev)
{
	pci_set_dev_assigned(dev);
}

/* Returns whether the hotplug driver of a slot, which may be NULL, can reset it. */
__rust_helper bool rust_helper_pci_slot_has_reset(struct pci_slot *slot)
{
	return slot && slot->hotplug && slot->hotplug->ops->reset_slot;
}

/*
 * Resets a slot by its hotplug driver. The caller has locked the bridge above and
 * all functions behind it. The PCI core's function for this is private.
 */
__rust_helper int rust_helper_pci_slot_reset(struct pci_slot *slot)
{
	struct hotplug_slot *hotplug = slot->hotplug;
	int ret = -ENOTTY;

	if (!try_module_get(hotplug->owner))
		return ret;
	ret = hotplug->ops->reset_slot(hotplug, PCI_RESET_DO_RESET);
	module_put(hotplug->owner);
	return ret;
}

__rust_helper struct pci_dev *rust_helper_pci_upstream_bridge(struct pci_dev *dev)
{
	return pci_upstream_bridge(dev);
}

/*
 * Returns the Linux irq of the device's INTx line, or 0 if the device has none
 * at present. The caller must hold the device lock: unbinding a driver frees
 * the MSI data. While MSI (not MSI-X) is enabled, dev->irq is the first MSI
 * vector, and the MSI descriptor holds the irq of the line.
 */
__rust_helper unsigned int rust_helper_pci_intx_irq(struct pci_dev *dev)
{
	struct msi_desc *desc;

	if (!dev->irq_managed)
		return 0;
	if (!dev->dev.msi.data)
		return dev->irq;

	guard(msi_descs_lock)(&dev->dev);
	if (!dev->msi_enabled)
		return dev->irq;
	desc = msi_first_desc(&dev->dev, MSI_DESC_ALL);
	return desc ? desc->pci.msi_attrib.default_irq : 0;
}

__rust_helper bool rust_helper_pci_dev_msi_enabled(struct pci_dev *dev)
{
	return pci_dev_msi_enabled(dev);
}

/*
 * Returns the proximity domain that the firmware's _PXM gives the device, or
 * -1 for none. The NUMA node of the device is no substitute, as a PVH dom0 has
 * no SRAT. The caller must keep the device from being removed.
 */
__rust_helper s64 rust_helper_pci_pxm(struct pci_dev *dev)
{
	struct device *above = &dev->dev;
	unsigned long long pxm;
	acpi_handle handle;

	do {
		handle = ACPI_HANDLE(above);
		above = above->parent;
	} while (!handle && above);
	while (handle) {
		if (ACPI_SUCCESS(acpi_evaluate_integer(handle, "_PXM", NULL, &pxm)))
			return (u32)pxm;
		if (ACPI_FAILURE(acpi_get_parent(handle, &handle)))
			break;
	}
	return -1;
}
