# Skips, with a reason.
# SPDX-License-Identifier: LGPL-2.1-or-later
. "$TESTS/lib.sh"
skip "nothing to see here"
