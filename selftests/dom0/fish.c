// SPDX-License-Identifier: GPL-2.0
/*
 * For fish.sh: the bugs that the debug kernel has to find, one for each load.
 */

#include <linux/compiler.h>
#include <linux/delay.h>
#include <linux/kfence.h>
#include <linux/list.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/refcount.h>
#include <linux/slab.h>
#include <linux/spinlock.h>

static char *bug = "";
module_param(bug, charp, 0444);
MODULE_PARM_DESC(bug, "The bug to have: the name of a function below");

static DEFINE_MUTEX(a);
static DEFINE_MUTEX(b);
static DEFINE_SPINLOCK(lock);

/* OPTIMIZER_HIDE_VAR: the kernel has to find the bug, not the compiler. */
static void leak(void)
{
	void *lost = kmalloc(100, GFP_KERNEL);

	OPTIMIZER_HIDE_VAR(lost);
}

/* One task cannot lock itself up in this way, two tasks could. */
static void abba(void)
{
	mutex_lock(&a);
	mutex_lock(&b);
	mutex_unlock(&b);
	mutex_unlock(&a);

	mutex_lock(&b);
	mutex_lock(&a);
	mutex_unlock(&a);
	mutex_unlock(&b);
}

static void sleeping(void)
{
	spin_lock(&lock);
	kfree(kmalloc(100, GFP_KERNEL));
	spin_unlock(&lock);
}

static void list(void)
{
	LIST_HEAD(head);
	struct list_head entry;

	list_add(&entry, &head);
	list_del(&entry);
	list_del(&entry);
}

static void refcount(void)
{
	refcount_t count = REFCOUNT_INIT(1);

	refcount_dec(&count);
	refcount_inc(&count);
}

static void bounds(void)
{
	static int array[2];
	int index = 2;

	OPTIMIZER_HIDE_VAR(index);
	array[index] = 1;
}

static void redzone(void)
{
	char *bytes = kmalloc(100, GFP_KERNEL);
	int index = 100;

	OPTIMIZER_HIDE_VAR(index);
	if (bytes)
		bytes[index] = 1;
	kfree(bytes);
}

/* What is freed last is handed out first, and looked at then. */
static void poison(void)
{
	char *bytes = kmalloc(100, GFP_KERNEL);
	char *freed = bytes;

	OPTIMIZER_HIDE_VAR(freed);
	kfree(bytes);
	if (freed)
		freed[50] = 1;
	kfree(kmalloc(100, GFP_KERNEL));
}

/* KFENCE takes an allocation now and then. */
static void kfence(void)
{
	char *bytes = NULL, *freed;
	unsigned int tries;

	for (tries = 0; tries < 1000; tries++) {
		kfree(bytes);
		bytes = kmalloc(100, GFP_KERNEL);
		if (is_kfence_address(bytes))
			break;
		msleep(20);
	}
	freed = bytes;
	OPTIMIZER_HIDE_VAR(freed);
	kfree(bytes);
	if (is_kfence_address(freed))
		READ_ONCE(*freed);
}

static const struct {
	const char *name;
	void (*run)(void);
} bugs[] = {
#define BUG_(name) { #name, name }
	BUG_(leak), BUG_(abba), BUG_(sleeping), BUG_(list), BUG_(refcount),
	BUG_(bounds), BUG_(redzone), BUG_(poison), BUG_(kfence),
};

static int __init fish_init(void)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(bugs); i++) {
		if (!strcmp(bugs[i].name, bug)) {
			bugs[i].run();
			return 0;
		}
	}
	return -EINVAL;
}
module_init(fish_init);

static void __exit fish_exit(void)
{
}
module_exit(fish_exit);

MODULE_DESCRIPTION("Bugs on purpose");
MODULE_LICENSE("GPL");
