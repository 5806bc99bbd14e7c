/* An additive model of candidates' times: see learn.h. */
#include "tune/learn.h"

#include <math.h>
#include <string.h>

static const double PENALTY = 1, TRUST = 0.6, TRUST_PENALTY = 0.3, UNSEEN = 0.06;
enum { SWEEPS = 8 };

typedef struct {
    fv_tune_properties p;
    double model, measured;
} sample;
struct fv_tune_learned {
    int n_names, cap_names, n_samples, cap_samples;
    fv_str *name; /* of properties */
    sample *sample;
    int cap_effects, *seen; /* samples that have the property */
    double *effect, trust;
};

fv_tune_learned *fv_tune_learn_new(fv_ctx *ctx) {
    fv_tune_learned *l = FV_NEW(ctx, fv_tune_learned);
    l->trust = TRUST;
    return l;
}
static int number_of(fv_ctx *ctx, fv_tune_learned *l, fv_str name) {
    for (int i = 0; i < l->n_names; i++)
        if (fv_str_eq(l->name[i], name)) return i;
    fv_push(ctx, l->name, l->n_names, l->cap_names, name);
    if (l->n_names > l->cap_effects) {
        int cap = 2 * l->n_names + 16, *seen = FV_NEWN(ctx, int, cap);
        double *effect = FV_NEWN(ctx, double, cap);
        if (l->cap_effects) {
            memcpy(seen, l->seen, sizeof *seen * (size_t)l->cap_effects);
            memcpy(effect, l->effect, sizeof *effect * (size_t)l->cap_effects);
        }
        l->seen = seen;
        l->effect = effect;
        l->cap_effects = cap;
    }
    return l->n_names - 1;
}

static fv_str entry_text(fv_ctx *ctx, const fv_sched_entry *e, int n) {
    fv_sched_entry part = *e;
    fv_schedule one = {.n = 1, .entry = &part};
    fv_buf b = {0};
    part.n = n;
    fv_schedule_print(ctx, &one, &b);
    fv_str s = fv_intern(ctx, b.text);
    fv_buf_dispose(&b);
    return s;
}
fv_tune_properties fv_tune_properties_of(fv_ctx *ctx, fv_tune_learned *l, const fv_schedule *wish) {
    fv_tune_properties p = {0};
    int cap = 1;
    if (!wish) return p;
    for (int i = 0; i < wish->n; i++) cap += 1 + wish->entry[i].n;
    p.of = FV_NEWN(ctx, int, cap);
    if (wish->strategy.i) p.of[p.n++] = number_of(ctx, l, wish->strategy);
    for (int i = 0; i < wish->n; i++) {
        const fv_sched_entry *e = &wish->entry[i];
        p.of[p.n++] = number_of(ctx, l, entry_text(ctx, e, e->n));
        for (int j = 0; e->field == FV_F_NEST && j < e->n; j++) {
            fv_sched_entry part = *e;
            part.item = &e->item[j];
            const char *text = fv_cstr(ctx, entry_text(ctx, &part, 1));
            p.of[p.n++] = number_of(ctx, l, fv_internf(ctx, "part %s", text));
        }
    }
    return p;
}

double fv_tune_expect(const fv_tune_learned *l, const fv_tune_properties *p, double model, bool optimistic) {
    double y = l->trust * model;
    for (int i = 0; i < p->n; i++)
        y += l->effect[p->of[i]] - (optimistic ? UNSEEN / (1 + (double)l->seen[p->of[i]]) / sqrt(p->n) : 0);
    return y;
}
static void fit_trust(fv_tune_learned *l) {
    double xy = TRUST_PENALTY * TRUST, xx = TRUST_PENALTY;
    for (int i = 0; i < l->n_samples; i++) {
        const sample *s = &l->sample[i];
        double rest = s->measured - fv_tune_expect(l, &s->p, 0, false);
        xy += s->model * rest;
        xx += s->model * s->model;
    }
    l->trust = xy / xx;
}
static bool has(const fv_tune_properties *p, int property) {
    for (int i = 0; i < p->n; i++)
        if (p->of[i] == property) return true;
    return false;
}
static void fit_effect(fv_tune_learned *l, int property) {
    double sum = 0;
    int n = 0;
    for (int i = 0; i < l->n_samples; i++) {
        const sample *s = &l->sample[i];
        if (!has(&s->p, property)) continue;
        sum += s->measured - fv_tune_expect(l, &s->p, s->model, false) + l->effect[property];
        n++;
    }
    l->seen[property] = n;
    l->effect[property] = sum / (n + PENALTY);
}
void fv_tune_learn(fv_ctx *ctx, fv_tune_learned *l, const fv_tune_properties *p, double model, double measured) {
    sample s = {*p, model, measured};
    fv_push(ctx, l->sample, l->n_samples, l->cap_samples, s);
    for (int sweep = 0; sweep < SWEEPS; sweep++) {
        fit_trust(l);
        for (int i = 0; i < l->n_names; i++) fit_effect(l, i);
    }
}
