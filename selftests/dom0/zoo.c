// SPDX-License-Identifier: GPL-2.0
/*
 * zoo-test: a driver of emulated functions (selftests/zoo/) that tries each way in which
 * one and the system can talk: registers, INTx, MSI, MSI-X, DMA. For guests of the selftests.
 *
 * Reference: Documentation/zoo.rst.
 */

#include <linux/completion.h>
#include <linux/dma-mapping.h>
#include <linux/interrupt.h>
#include <linux/module.h>
#include <linux/pci.h>

#define ZOO_SIGNATURE	0x00
#define ZOO_TATTOO	0x04
#define ZOO_ADDRESS	0x08
#define ZOO_DATA	0x10
#define ZOO_GO		0x14
#define ZOO_RAISE	0x18
#define ZOO_RAISED	0x1c

#define ZOO_MAGIC	0x314f4f5a
#define ZOO_ONCE	1
#define ZOO_GO_ON	2
/* What is raised: a kind, and a vector. */
#define ZOO_INTX	0x00000
#define ZOO_MSI		0x10000
#define ZOO_MSIX	0x20000

#define VECTORS		32
#define ROUNDS		3
#define TEST_VALUE	0x600d
#define TIMEOUT		(10 * HZ)

static unsigned int tattoo;
module_param(tattoo, uint, 0444);
MODULE_PARM_DESC(tattoo, "what to leave in each function; default: nothing");

static bool goes_on;
module_param(goes_on, bool, 0444);
MODULE_PARM_DESC(goes_on, "leave DMA going on in each function; default: no");

struct animal {
	struct pci_dev *dev;
	void __iomem *regs;
	struct completion done;
	unsigned int irq;
	u32 raised;
};

/* A line of the log that tells which function it is in any slot. */
static __printf(2, 3) void animal_say(struct animal *animal, const char *format, ...)
{
	struct va_format text = { .fmt = format };
	va_list args;

	va_start(args, format);
	text.va = &args;
	pci_info(animal->dev, "%04x %pV\n", animal->dev->device, &text);
	va_end(args);
}

/* Reading how many interrupts were raised lowers INTx. */
static irqreturn_t animal_irq(int irq, void *data)
{
	struct animal *animal = data;
	u32 raised = readl(animal->regs + ZOO_RAISED);

	if (raised == animal->raised)
		return IRQ_NONE;
	animal->raised = raised;
	animal->irq = irq;
	complete(&animal->done);
	return IRQ_HANDLED;
}

static int animal_interrupt(struct animal *animal, u32 kind, unsigned int vector)
{
	reinit_completion(&animal->done);
	writel(kind + vector, animal->regs + ZOO_RAISE);
	if (!wait_for_completion_timeout(&animal->done, TIMEOUT))
		return -ETIMEDOUT;
	return animal->irq == pci_irq_vector(animal->dev, vector) ? 0 : -EIO;
}

static int animal_interrupts(struct animal *animal, u32 kind, unsigned int vectors)
{
	unsigned int i;
	int err;

	for (i = 0; i < ROUNDS * vectors; i++) {
		err = animal_interrupt(animal, kind, i % vectors);
		if (err) {
			animal_say(animal, "vector %u: no interrupt", i % vectors);
			return err;
		}
	}
	return 0;
}

static void animal_try(struct animal *animal, const char *name, unsigned int type, u32 kind)
{
	struct pci_dev *dev = animal->dev;
	int vectors, requested, err = 0;

	vectors = pci_alloc_irq_vectors(dev, 1, VECTORS, type);
	if (vectors < 0) {
		animal_say(animal, "%s: none (%d)", name, vectors);
		return;
	}
	animal->raised = readl(animal->regs + ZOO_RAISED);
	for (requested = 0; requested < vectors && !err; requested++)
		err = request_irq(pci_irq_vector(dev, requested), animal_irq, IRQF_SHARED,
				  "zoo-test", animal);
	if (!err)
		err = animal_interrupts(animal, kind, vectors);
	else
		requested--;
	while (requested--)
		free_irq(pci_irq_vector(dev, requested), animal);
	pci_free_irq_vectors(dev);
	if (err)
		animal_say(animal, "%s: failed (%d)", name, err);
	else
		animal_say(animal, "%s: works, vectors: %d", name, vectors);
}

static int animal_dma(struct animal *animal)
{
	dma_addr_t at;
	u32 *memory;

	memory = dmam_alloc_coherent(&animal->dev->dev, PAGE_SIZE, &at, GFP_KERNEL);
	if (!memory)
		return -ENOMEM;
	writel(lower_32_bits(at), animal->regs + ZOO_ADDRESS);
	writel(upper_32_bits(at), animal->regs + ZOO_ADDRESS + 4);
	writel(TEST_VALUE, animal->regs + ZOO_DATA);
	writel(goes_on ? ZOO_GO_ON : ZOO_ONCE, animal->regs + ZOO_GO);
	/* A read comes back after what was written before. */
	readl(animal->regs + ZOO_GO);
	animal_say(animal, "DMA: %s", READ_ONCE(*memory) == TEST_VALUE ? "works" : "failed");
	return 0;
}

static int animal_probe(struct pci_dev *dev, const struct pci_device_id *id)
{
	unsigned int bar = id->driver_data >> 16, offset = id->driver_data & 0xffff;
	struct animal *animal;
	u32 found;
	int err;

	animal = devm_kzalloc(&dev->dev, sizeof(*animal), GFP_KERNEL);
	if (!animal)
		return -ENOMEM;
	animal->dev = dev;
	init_completion(&animal->done);

	err = pcim_enable_device(dev);
	if (err)
		return err;
	err = dma_set_mask_and_coherent(&dev->dev, DMA_BIT_MASK(64));
	if (err)
		return err;
	animal->regs = pcim_iomap_region(dev, bar, "zoo-test");
	if (IS_ERR(animal->regs))
		return PTR_ERR(animal->regs);
	animal->regs += offset;
	if (readl(animal->regs + ZOO_SIGNATURE) != ZOO_MAGIC)
		return -ENODEV;
	pci_set_master(dev);

	if (dev->pin)
		animal_try(animal, "INTx", PCI_IRQ_INTX, ZOO_INTX);
	/* Not both: after MSI, Xen no longer knows the MSI-X table, see guest-msi.sh. */
	if (dev->msix_cap)
		animal_try(animal, "MSI-X", PCI_IRQ_MSIX, ZOO_MSIX);
	else
		animal_try(animal, "MSI", PCI_IRQ_MSI, ZOO_MSI);

	found = readl(animal->regs + ZOO_TATTOO);
	if (tattoo)
		writel(tattoo, animal->regs + ZOO_TATTOO);
	animal_say(animal, "tattoo: %#x, now %#x", found, readl(animal->regs + ZOO_TATTOO));
	return animal_dma(animal);
}

#define ANIMAL(vendor, device, bar, offset) \
	{ PCI_DEVICE(vendor, device), .driver_data = ((bar) << 16) | (offset) }

/* Where their registers are, as in selftests/zoo/animals/. */
static const struct pci_device_id animal_ids[] = {
	ANIMAL(0x10de, 0x1e84, 0, 0),		/* gpu */
	ANIMAL(0x10de, 0x10f9, 0, 0),
	ANIMAL(0x10de, 0x1ada, 3, 0),
	ANIMAL(0x10de, 0x1adb, 0, 0),
	ANIMAL(0x1eb4, 0x3401, 2, 0xc00),	/* accelerator */
	ANIMAL(0x1b36, 0xd15c, 0, 0),		/* disk */
	ANIMAL(0x8086, 0x15f4, 0, 0),		/* nic-forgetful */
	{ }
};
MODULE_DEVICE_TABLE(pci, animal_ids);

static struct pci_driver animal_driver = {
	.name = "zoo-test",
	.id_table = animal_ids,
	.probe = animal_probe,
};
module_pci_driver(animal_driver);

MODULE_DESCRIPTION("Test of emulated functions: registers, INTx, MSI, MSI-X, DMA");
MODULE_LICENSE("GPL");
