# Sees nothing of what the case before it left.
# SPDX-License-Identifier: LGPL-2.1-or-later
. "$TESTS/lib.sh"
cg_exists /left && fail "a group is left"
pgrep -x sleep && fail "a process is left"
assert_in "$(cat /proc/swaps)" /dev/zram0 "swap"
bus_has org.freedesktop.DBus
