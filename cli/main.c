/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* chargectl: start reading here, then verbs.c (what there is), run.c (how it runs), any verb-*.c. */

#include <locale.h>
#include <signal.h>

#include "cli.h"

int main(int argc, char **argv)
{
        setlocale(LC_CTYPE, "");
        (void)signal(SIGPIPE, SIG_DFL); /* "chargectl list | head" ends quietly */
        return cli_main(argc, argv);
}
