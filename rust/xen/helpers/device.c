// SPDX-License-Identifier: GPL-2.0

#include <linux/device.h>

__rust_helper void rust_helper_device_lock(struct device *dev)
{
	device_lock(dev);
}

__rust_helper void rust_helper_device_unlock(struct device *dev)
{
	device_unlock(dev);
}

/* Returns whether the driver override names the driver @name. */
__rust_helper bool rust_helper_device_has_override(struct device *dev,
						   const char *name)
{
	struct device_driver drv = { .name = name };

	return device_match_driver_override(dev, &drv) > 0;
}

__rust_helper bool rust_helper_device_has_any_override(struct device *dev)
{
	return device_has_driver_override(dev);
}

/* Clears the driver override if it names the driver @name. */
__rust_helper void rust_helper_device_clear_override(struct device *dev,
						     const char *name)
{
	struct device_driver drv = { .name = name };

	if (device_match_driver_override(dev, &drv) > 0)
		device_set_driver_override(dev, "");
}
