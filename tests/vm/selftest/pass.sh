# Passes, leaves a figure, a process and a group behind.
# SPDX-License-Identifier: LGPL-2.1-or-later
. "$TESTS/lib.sh"
emit answer 42
cg_create /left/behind
cg_run /left/behind sleep 1000
swapoff -a
