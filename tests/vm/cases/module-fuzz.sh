# Random and mutated requests to the module for a while. Ten minutes under KASAN:
#
#     ./dev vm debug module-fuzz --env SECONDS_LONG=600 [--env SEED=…]
# module: yes
# suite: kmod
# timeout: 900
# SPDX-License-Identifier: LGPL-2.1-or-later
. "$TESTS/lib.sh"
. "$TESTS/move.sh"
. "$TESTS/module.sh"

module_load
# shellcheck disable=SC2086 # none or one
module_program $((${SECONDS_LONG:-15} + 120)) prog-module-fuzz "${SECONDS_LONG:-15}" ${SEED:-}
module_unload
module_clean
