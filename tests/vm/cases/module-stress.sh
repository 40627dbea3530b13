# Memory moves to and fro beside everything else that the kernel does with it; half an hour of it:
#
#     ./dev vm all module-stress --env SECONDS_LONG=1800 [--env SEED=…]
#
# Data verified, all counts 0 at the end, no removed group left, the kernel has nothing to say.
# module: yes
# suite: kmod
# timeout: 2400
# SPDX-License-Identifier: LGPL-2.1-or-later
. "$TESTS/lib.sh"
. "$TESTS/move.sh"
. "$TESTS/module.sh"

module_load
SECONDS_LONG=${SECONDS_LONG:-20}
module_program $((SECONDS_LONG + 180)) prog-module-stress "$SECONDS_LONG" "${SEED:-}"
module_program $((SECONDS_LONG + 180)) prog-module-stress $((SECONDS_LONG / 2)) "${SEED:-}" shared-huge
module_unload
module_clean
