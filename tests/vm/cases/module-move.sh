# Each kind of memory moves there and back by the module, exact to the page:
#
#     /m/a ── small, huge, forked, pinned, shared, file, swap … ──▶ /m/b ──▶ /m/a
#
# What left one account came to the other, in every count of memory.stat; the parent's do not change; no byte of the
# memory does; nothing is left when the process ends.
# module: yes
# timeout: 240
# SPDX-License-Identifier: LGPL-2.1-or-later
. "$TESTS/lib.sh"
. "$TESTS/move.sh"
. "$TESTS/module.sh"

mkdir -p /var/tmp
# so that pages which come back from swap keep their place in it, unlike zram's
dd if=/dev/zero of=/var/tmp/swap bs=1M count=64 status=none
chmod 600 /var/tmp/swap
mkswap /var/tmp/swap >/dev/null
swapoff /dev/zram0
swapon /var/tmp/swap
echo advise >/sys/kernel/mm/transparent_hugepage/shmem_enabled
trap 'echo always >$THP; echo 10000 >$KHUGEPAGED; echo never >/sys/kernel/mm/transparent_hugepage/shmem_enabled; swapoff /var/tmp/swap; rm -f /var/tmp/swap' EXIT

module_load
# shellcheck disable=SC2086 # a list of names
module_program 200 prog-module-move ${SHAPES:-}
module_unload
module_clean
