// SPDX-License-Identifier: GPL-2.0
/*
 * edu-test: a driver of QEMU's "edu" device that tries each way in which the
 * device and the system can talk: INTx, MSI, DMA. For guests of the selftests.
 * On request it tells how fast interrupts can follow one another.
 *
 * Reference: docs/specs/edu.rst of QEMU.
 */

#include <linux/completion.h>
#include <linux/delay.h>
#include <linux/dma-mapping.h>
#include <linux/interrupt.h>
#include <linux/module.h>
#include <linux/pci.h>

#define EDU_ID			0x00	/* 0xRRrr00ed */
#define EDU_IRQ_STATUS		0x24
#define EDU_IRQ_RAISE		0x60
#define EDU_IRQ_ACK		0x64
#define EDU_DMA_SOURCE		0x80
#define EDU_DMA_DESTINATION	0x88
#define EDU_DMA_COUNT		0x90
#define EDU_DMA_COMMAND		0x98

#define EDU_DMA_START		0x1
#define EDU_DMA_TO_SYSTEM	0x2
#define EDU_DMA_IRQ		0x4

#define EDU_DMA_DONE		0x100	/* in the irq status, as edu sets it */
#define EDU_BUFFER		0x40000	/* the device's own memory */

#define TEST_VALUE		0x5a
#define TEST_BYTES		2048
#define TIMEOUT			(10 * HZ)

static unsigned int storm;
module_param(storm, uint, 0444);
MODULE_PARM_DESC(storm, "interrupts of a storm by INTx and of one by MSI; default: none");

struct edu {
	struct pci_dev *dev;
	void __iomem *regs;
	struct completion done;
	u32 status;
};

static irqreturn_t edu_irq(int irq, void *data)
{
	struct edu *edu = data;
	u32 status = readl(edu->regs + EDU_IRQ_STATUS);

	if (!status)
		return IRQ_NONE;
	writel(status, edu->regs + EDU_IRQ_ACK);
	edu->status = status;
	complete(&edu->done);
	return IRQ_HANDLED;
}

/* Waits for an interrupt with this status. */
static int edu_wait(struct edu *edu, u32 status)
{
	if (!wait_for_completion_timeout(&edu->done, TIMEOUT))
		return -ETIMEDOUT;
	return edu->status == status ? 0 : -EIO;
}

static int edu_transfer(struct edu *edu, u64 from, u64 to, u32 command)
{
	reinit_completion(&edu->done);
	writeq(from, edu->regs + EDU_DMA_SOURCE);
	writeq(to, edu->regs + EDU_DMA_DESTINATION);
	writeq(TEST_BYTES, edu->regs + EDU_DMA_COUNT);
	writeq(command | EDU_DMA_START | EDU_DMA_IRQ, edu->regs + EDU_DMA_COMMAND);
	return edu_wait(edu, EDU_DMA_DONE);
}

/* A pattern to the device's memory and back. */
static int edu_dma(struct edu *edu)
{
	dma_addr_t at;
	u8 *memory;
	int i, err;

	memory = dma_alloc_coherent(&edu->dev->dev, 2 * TEST_BYTES, &at, GFP_KERNEL);
	if (!memory)
		return -ENOMEM;
	for (i = 0; i < TEST_BYTES; i++)
		memory[i] = i * 7 + 1;
	err = edu_transfer(edu, at, EDU_BUFFER, 0);
	if (!err)
		err = edu_transfer(edu, EDU_BUFFER, at + TEST_BYTES, EDU_DMA_TO_SYSTEM);
	if (!err && memcmp(memory, memory + TEST_BYTES, TEST_BYTES))
		err = -EILSEQ;
	dma_free_coherent(&edu->dev->dev, 2 * TEST_BYTES, memory, at);
	return err;
}

static int edu_interrupt(struct edu *edu)
{
	reinit_completion(&edu->done);
	writel(TEST_VALUE, edu->regs + EDU_IRQ_RAISE);
	return edu_wait(edu, TEST_VALUE);
}

/* Each interrupt is raised when the one before was handled. */
static int edu_storm(struct edu *edu)
{
	ktime_t began = ktime_get();
	unsigned int i;
	int err;

	for (i = 0; i < storm; i++) {
		err = edu_interrupt(edu);
		if (err)
			return err;
	}
	dev_info(&edu->dev->dev, "%u interrupts in %lld us\n", storm,
		 ktime_us_delta(ktime_get(), began));
	return 0;
}

static void edu_try(struct edu *edu, const char *name, unsigned int type,
		    int (*try)(struct edu *edu))
{
	int err;

	err = pci_alloc_irq_vectors(edu->dev, 1, 1, type);
	if (err < 0)
		goto out;
	err = request_irq(pci_irq_vector(edu->dev, 0), edu_irq, IRQF_SHARED,
			  "edu-test", edu);
	if (err)
		goto free_vectors;
	err = try(edu);
	free_irq(pci_irq_vector(edu->dev, 0), edu);
free_vectors:
	pci_free_irq_vectors(edu->dev);
out:
	dev_info(&edu->dev->dev, "%s: %s (%d)\n", name,
		 err < 0 ? "failed" : "works", err);
}

static int edu_probe(struct pci_dev *dev, const struct pci_device_id *id)
{
	struct edu *edu;
	int err;

	edu = devm_kzalloc(&dev->dev, sizeof(*edu), GFP_KERNEL);
	if (!edu)
		return -ENOMEM;
	edu->dev = dev;
	init_completion(&edu->done);

	err = pcim_enable_device(dev);
	if (err)
		return err;
	/* edu ignores address bits above 27. */
	err = dma_set_mask_and_coherent(&dev->dev, DMA_BIT_MASK(28));
	if (err)
		return err;
	edu->regs = pcim_iomap_region(dev, 0, "edu-test");
	if (IS_ERR(edu->regs))
		return PTR_ERR(edu->regs);
	if ((readl(edu->regs + EDU_ID) & 0xff) != 0xed)
		return -ENODEV;
	pci_set_master(dev);

	edu_try(edu, "INTx", PCI_IRQ_INTX, edu_interrupt);
	edu_try(edu, "MSI", PCI_IRQ_MSI, edu_interrupt);
	edu_try(edu, "DMA", PCI_IRQ_ALL_TYPES, edu_dma);
	if (storm) {
		edu_try(edu, "INTx storm", PCI_IRQ_INTX, edu_storm);
		edu_try(edu, "MSI storm", PCI_IRQ_MSI, edu_storm);
	}
	return 0;
}

static const struct pci_device_id edu_ids[] = {
	{ PCI_DEVICE(0x1234, 0x11e8) },
	{ }
};
MODULE_DEVICE_TABLE(pci, edu_ids);

static struct pci_driver edu_driver = {
	.name = "edu-test",
	.id_table = edu_ids,
	.probe = edu_probe,
};
module_pci_driver(edu_driver);

MODULE_DESCRIPTION("Test of QEMU's edu device: INTx, MSI, DMA");
MODULE_LICENSE("GPL");
