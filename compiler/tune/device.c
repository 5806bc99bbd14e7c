/* Devices asked and tried in children: see device.h. */
#include "tune/child_inside.h"
#include "tune/device.h"

#include <string.h>

static const double ANSWER_SECONDS = 60;

typedef struct {
    const fv_backend *backend;
    const char *target, *device;
    fv_device_facts facts;
    volatile bool done;
} question;
static void ask(void *user) {
    question *q = user;
    q->backend->learn(q->target, q->device, &q->facts);
    q->done = true;
}
bool fv_tune_meet(fv_ctx *ctx, const fv_backend *backend, const char *target, const char *device,
                  fv_device_facts *out) {
    *out = (fv_device_facts){.here = true};
    if (!backend->learn) return true;
    question *q = fv_tune_shared(sizeof *q);
    fv_tune_limits limits = {.seconds = ANSWER_SECONDS, .threads = fovea_threads_available()};
    if (!q) {
        fv_error(ctx, FV_E_BACKEND, (fv_loc){0}, "no memory to share with a child");
        return false;
    }
    *q = (question){.backend = backend, .target = target, .device = device};
    bool fine = fv_tune_in_child(&limits, ask, q) && q->done;
    *out = q->facts;
    fv_tune_unshare(q, sizeof *q);
    if (fine && out->here) {
        backend->remember(out);
        return true;
    }
    out->here = false;
    if (fine) fv_error(ctx, FV_E_BACKEND, (fv_loc){0}, "%s", out->why);
    else
        fv_error(ctx, FV_E_BACKEND, (fv_loc){0},
                 "the driver of backend '%s' ends its process, or does not answer in %.0f s, when it is asked for its "
                 "devices; see fovea devices",
                 backend->name, ANSWER_SECONDS);
    return false;
}

bool fv_tune_alive(const fv_tune_job *job, char *why, size_t cap) {
    tune_report *r = fv_tune_shared(sizeof *r);
    *why = 0;
    if (!r) return true;
    *r = (tune_report){.job = job};
    bool fine = fv_tune_in_child(&job->limits, tune_alive_body, r) && r->done;
    bool alive = (fine && r->outcome.status == FV_TUNE_CORRECT) || (job->limits.stop && *job->limits.stop);
    if (!alive)
        snprintf(why, cap, "%s", fine ? r->outcome.reason : "the driver ended the process, or did not end in time");
    fv_tune_unshare(r, sizeof *r);
    return alive;
}
