/* Tuning records for the library: used where a compilation lowers, and what came of it in one line. */
#ifndef FV_API_RECORDS_H
#define FV_API_RECORDS_H
#include "driver/driver.h"
#include "tune/apply.h"

typedef struct {
    fv_ctx *ctx;
    fv_tune_use use;
    const char *said; /* "tuned: …", "not tuned: …", or "" */
} fv_records;

/* Lets io use the records of a file. path "": those of the cache, where a missing file is none and a bad one is only
 * said. false after recording an error: the file named is no database. Close it in any case, when io has been used. */
bool fv_records_open(fv_ctx *ctx, const char *path, int threads, fv_records *r, fv_driver_options *io);
void fv_records_close(fv_records *r);
#endif
