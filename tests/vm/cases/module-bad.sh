# Bad input to the module: each gets the error that kmod/uapi/chargehand.h promises, and nothing changes.
# module: yes
# timeout: 120
# SPDX-License-Identifier: LGPL-2.1-or-later
. "$TESTS/lib.sh"
. "$TESTS/move.sh"
. "$TESTS/module.sh"

# Another hierarchy, of the old kind, without controllers.
mkdir v1
old=
if mount -t cgroup -o none,name=chargehand-test none v1 2>/dev/null; then
        mkdir v1/group
        old=$PWD/v1/group
        trap 'echo always >$THP; echo 10000 >$KHUGEPAGED; rmdir v1/group; umount v1' EXIT
else
        note "this kernel has no cgroup v1"
fi
module_load
module_program 100 prog-module-bad "$old"
module_unload
module_clean
