# What does not fit stays, to the page, and nobody hears of it; budgets and ranges are kept:
#
#     /m/a ── 16 MiB ──▶ /m/b   with half the room, and other obstacles
# module: yes
# timeout: 180
# SPDX-License-Identifier: LGPL-2.1-or-later
. "$TESTS/lib.sh"
. "$TESTS/move.sh"
. "$TESTS/module.sh"

module_load
module_program 150 prog-module-limits
module_unload
module_clean
