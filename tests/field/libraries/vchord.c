/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A stand-in for VectorChord, which refuses to be loaded after the server's start, as this does. */
#include "postgres.h"
#include "fmgr.h"
#include "miscadmin.h"

PG_MODULE_MAGIC;

void _PG_init(void);

void _PG_init(void)
{
    if (!process_shared_preload_libraries_in_progress)
        ereport(ERROR, (errmsg("vchord must be loaded via shared_preload_libraries.")));
}

PG_FUNCTION_INFO_V1(vchord_answer);

Datum vchord_answer(PG_FUNCTION_ARGS)
{
    PG_RETURN_INT32(42);
}
