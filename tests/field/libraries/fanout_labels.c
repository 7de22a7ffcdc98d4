/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A stand-in for PostgreSQL Anonymizer: it provides security labels, in sessions that load it. */
#include "postgres.h"
#include "commands/seclabel.h"
#include "fmgr.h"

PG_MODULE_MAGIC;

void _PG_init(void);

static void accept(const ObjectAddress *object, const char *label)
{
}

void _PG_init(void)
{
    register_label_provider("fanout_labels", accept);
}
