# Has a kernel command line of its own.
# append: transparent_hugepage=never
# SPDX-License-Identifier: LGPL-2.1-or-later
. "$TESTS/lib.sh"
assert_in "$(cat /sys/kernel/mm/transparent_hugepage/enabled)" "[never]"
