# Runs in a new guest after the panic.
# SPDX-License-Identifier: LGPL-2.1-or-later
. "$TESTS/lib.sh"
note "still here"
