# module-stress with one CPU: what waits there must not wait for itself.
# Data verified, all counts 0 at the end, no removed group left, the kernel has nothing to say.
# module: yes
# cpus: 1
# suite: kmod
# timeout: 2400
# SPDX-License-Identifier: LGPL-2.1-or-later
. "$TESTS/lib.sh"
. "$TESTS/move.sh"
. "$TESTS/module.sh"

module_load
SECONDS_LONG=${SECONDS_LONG:-10}
module_program $((SECONDS_LONG + 180)) prog-module-stress "$SECONDS_LONG" "${SEED:-}"
module_program $((SECONDS_LONG + 180)) prog-module-stress $((SECONDS_LONG / 2)) "${SEED:-}" shared-huge
module_unload
module_clean
