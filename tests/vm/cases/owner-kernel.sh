# Who pays for an address space that several processes share, by the kernel alone: fork, CLONE_VM, vfork, exec and exit, with the
# sharers in different groups. owner-scenarios.txt has them, with what is expected.
#
#     /o/a ── A ─┐
#     /o/b ── B ─┼─ one address space: whose group pays for its next page?
#     /o/c ── C ─┘
#
# timeout: 180
# SPDX-License-Identifier: LGPL-2.1-or-later
. "$TESTS/lib.sh"

cg_create /o/a
prog-owner "$TESTS/owner-scenarios.txt"
