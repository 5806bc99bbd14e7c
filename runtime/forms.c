/* Choosing a form: see forms.h. Invariant: this processor is taken for a device only with a reason, which the model
 * keeps. */
#include "forms.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "error.h"
#include "executor.h"
#include "model.h"

typedef struct {
    const fovea_forms *forms;
    int32_t level;
    const char *lacks;
    const fovea_weights *weights; /* NULL: it loads without any */
    fovea_options options;
} request;

/* What the options say, else the environment. */
static fovea_status wanted(fovea_options *o, fovea_error *err) {
    static const char *const names[] = {"auto", "cpu", "opencl"};
    const char *e = getenv("FOVEA_BACKEND");
    if (o->backend != FOVEA_BACKEND_AUTO || !e || !*e) return FOVEA_OK;
    for (int i = 0; i < 3; i++)
        if (strcmp(e, names[i]) == 0) {
            o->backend = (fovea_backend)i;
            return FOVEA_OK;
        }
    return fovea_fail(err, FOVEA_E_ARGUMENT, "FOVEA_BACKEND is '%.40s': it is auto, cpu or opencl", e);
}
static fovea_status open_form(const request *r, const fovea_form *f, fovea_model **out, fovea_error *err) {
    const fovea_weights *w = r->weights;
    if (!w) return fovea_model_load(f->program, &r->options, out, err);
    if (w->in_memory) return fovea_image_load(f->program, f->level, &r->options, w->data, w->bytes, out, err);
    if (w->file) return fovea_image_open(f->program, f->level, &r->options, w->file, out, err);
    if (f->image) return fovea_image_load(f->program, f->level, &r->options, f->image, f->image_bytes, out, err);
    return fovea_fail(err, FOVEA_E_ARGUMENT, "%s was built without weights inside: name their file", r->forms->name);
}
/* The form that suits the device; unasked: a device that nobody asked for, which has to show that it answers right. */
static fovea_status on_device(const request *r, bool unasked, fovea_model **out, fovea_error *err) {
    const fovea_forms *f = r->forms;
    const fovea_form *form = NULL;
    if (!f->n_devices)
        return fovea_fail(err, FOVEA_E_DEVICE,
                          "%s was built without programs for OpenCL (fovea build --target …,opencl)", f->name);
    for (int32_t i = 0; i < f->n_devices && !form; i++) {
        const fovea_program *p = f->forms[f->n_levels + i].program;
        bool suits;
        fovea_status none = p->executor->suits(p, &r->options, unasked, &suits, err);
        if (none) return none;
        if (suits) form = &f->forms[f->n_levels + i];
    }
    if (!form) return fovea_fail(err, FOVEA_E_DEVICE, "%s has no programs for this kind of OpenCL device", f->name);
    fovea_status status = open_form(r, form, out, err);
    if (status || !unasked || !r->weights || !f->known) return status;
    fovea_error result;
    status = fovea_model_selftest(*out, f->known, &result);
    if (!status) return FOVEA_OK;
    fovea_fail(err, status, "%s: the self-test: %s", fovea_model_backend(*out), result.text);
    fovea_model_dispose(*out);
    *out = NULL;
    return status;
}
static fovea_status on_processor(const request *r, fovea_model **out, fovea_error *err) {
    if (r->level >= 0) return open_form(r, &r->forms->forms[r->level], out, err);
    return fovea_fail(err, FOVEA_E_PROCESSOR, "%s", r->lacks);
}
static fovea_status choose(request *r, const fovea_options *given, fovea_model **out, fovea_error *err) {
    const char *reason = NULL;
    fovea_error why;
    if (!out) return fovea_fail(err, FOVEA_E_ARGUMENT, "nowhere to write the model");
    *out = NULL;
    fovea_status status = fovea_options_take(given, &r->options, err);
    if (!status) status = wanted(&r->options, err);
    if (status) return status;
    r->options.bytes = sizeof r->options;
    if (r->options.backend == FOVEA_BACKEND_OPENCL) return on_device(r, false, out, err);
    if (r->options.backend == FOVEA_BACKEND_AUTO && r->forms->n_devices) {
        if (r->options.memory || r->options.parallel) {
            reason = "the caller gave its own memory or threads";
        } else if (on_device(r, true, out, &why)) {
            reason = why.text;
        } else {
            return FOVEA_OK;
        }
    }
    status = on_processor(r, out, err);
    if (!status && reason) snprintf((*out)->backend, sizeof(*out)->backend, "cpu: %s", reason);
    return status;
}
fovea_status fovea_forms_open(const fovea_forms *forms, int32_t level, const char *lacks, const fovea_weights *weights,
                              const fovea_options *options, fovea_model **out, fovea_error *err) {
    request r = {.forms = forms, .level = level, .lacks = lacks, .weights = weights};
    return choose(&r, options, out, err);
}
fovea_status fovea_forms_load(const fovea_forms *forms, int32_t level, const char *lacks, const fovea_options *options,
                              fovea_model **out, fovea_error *err) {
    request r = {.forms = forms, .level = level, .lacks = lacks};
    return choose(&r, options, out, err);
}
