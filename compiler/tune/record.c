/* What was measured of a candidate as a row of the database. */
#include "tune/child.h"

#include <time.h>

fv_tune_record fv_tune_record_of(const fv_tune_key *key, const char *kernel, const char *schedule,
                                 const fv_tune_outcome *o, double predicted, const char *origin) {
    return (fv_tune_record){.key = *key,
                            .kernel = kernel,
                            .schedule = schedule,
                            .status = fv_tune_status_names[o->status],
                            .reason = o->reason,
                            .seconds = o->seconds,
                            .seconds_min = o->seconds_min,
                            .default_seconds = o->default_seconds,
                            .ratio = o->ratio,
                            .predicted = predicted,
                            .pairs = o->pairs,
                            .unix_time = (int64_t)time(NULL),
                            .origin = origin};
}
