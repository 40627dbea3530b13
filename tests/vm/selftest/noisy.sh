# What a program writes to the kernel log is not the kernel complaining.
# SPDX-License-Identifier: LGPL-2.1-or-later
. "$TESTS/lib.sh"
echo "WARNING: this line comes from user space" >/dev/kmsg
