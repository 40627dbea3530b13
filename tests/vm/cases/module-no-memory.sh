# Without a memory controller there is nothing to account for: chargehand.ko does not load, and says so.
# module: yes
# suite: kmod
# timeout: 60
# append: cgroup_disable=memory
# SPDX-License-Identifier: LGPL-2.1-or-later
. "$TESTS/lib.sh"

kernel_mark
assert_fails modprobe chargehand
assert_in "$(kernel_log)" "chargehand: not loaded: the memory controller is off; boot without cgroup_disable=memory" "what it said"
[ ! -e /dev/chargehand ] || fail "there is a device"
