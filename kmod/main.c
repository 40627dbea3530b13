// SPDX-License-Identifier: GPL-2.0-only
/* chargehand.ko: moves charges of resident pages between memory cgroups, in place. Device and dispatch. */

#include <linux/capability.h>
#include <linux/fs.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/user_namespace.h>

#include "chargehand.h"

static long do_move(struct file *file, void __user *arg)
{
	return chargehand_move(arg);
}

static long do_map(struct file *file, void __user *arg)
{
	return chargehand_map(file->private_data, arg);
}

static long do_info(struct file *file, void __user *arg)
{
	return chargehand_info(arg);
}

static const struct {
	unsigned int cmd;
	long (*run)(struct file *file, void __user *arg);
} commands[] = {
	{ CHARGEHAND_IOC_MOVE, do_move },
	{ CHARGEHAND_IOC_MAP, do_map },
	{ CHARGEHAND_IOC_INFO, do_info },
};

static long device_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	int i;

	if (!capable(CAP_SYS_ADMIN))
		return -EPERM;
	for (i = 0; i < ARRAY_SIZE(commands); i++)
		if (commands[i].cmd == cmd)
			return commands[i].run(file, (void __user *)arg);
	return -ENOTTY;
}

static int device_open(struct inode *inode, struct file *file)
{
	struct chargehand_session *session;

	if (!capable(CAP_SYS_ADMIN))
		return -EPERM;
	session = chargehand_session_new();
	if (!session)
		return -ENOMEM;
	file->private_data = session;
	return 0;
}

static int device_release(struct inode *inode, struct file *file)
{
	chargehand_session_free(file->private_data);
	return 0;
}

/* An open file holds the module, and with it whatever runs in it. */
static const struct file_operations device_operations = {
	.owner = THIS_MODULE,
	.open = device_open,
	.release = device_release,
	.unlocked_ioctl = device_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
};

static struct miscdevice device = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "chargehand",
	.fops = &device_operations,
	.mode = 0600,
};

static int __init chargehand_init(void)
{
	int r;

	r = chargehand_gate_init();
	if (r < 0)
		return r;
	r = misc_register(&device);
	if (r < 0)
		pr_err("no device %s: error %d\n", CHARGEHAND_DEVICE, r);
	return r;
}

static void __exit chargehand_exit(void)
{
	misc_deregister(&device);
}

module_init(chargehand_init);
module_exit(chargehand_exit);

MODULE_DESCRIPTION("Moves memory charges between cgroups, in place");
MODULE_AUTHOR("Chargehand");
MODULE_VERSION(CHARGEHAND_VERSION);
MODULE_LICENSE("GPL");
