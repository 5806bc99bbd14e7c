/* Coordinate descent over the schedules of one kernel: see search.h. Invariant: no two candidates become equal code,
 * and each is offered once. */
#include "tune/search.h"

#include <math.h>
#include <string.h>

enum { MOST_CANDIDATES = 4000 };
/* Scratch of a program beyond this many times the second cache, or programs too few for the threads: not offered. */
static const double MOST_SCRATCH = 2, SCRATCH_OF_DEFAULT = 4;
static const double FURTHER = 1.1;

fv_tune_candidate *fv_tune_search_find(fv_tune_search *s, const char *text) {
    for (int i = 0; i < s->n; i++)
        if (!strcmp(s->candidate[i]->text, text)) return s->candidate[i];
    return NULL;
}
static fv_tune_candidate *equal_code(fv_tune_search *s, uint64_t code) {
    for (int i = 0; i < s->n; i++)
        if (s->candidate[i]->seen.fits && s->candidate[i]->seen.code == code) return s->candidate[i];
    return NULL;
}
static fv_tune_candidate *new_candidate(fv_tune_search *s, const fv_schedule *wish, const fv_tune_foresight *f) {
    fv_tune_candidate *c = FV_NEW(s->ctx, fv_tune_candidate);
    *c = (fv_tune_candidate){.wish = wish, .text = fv_tune_wish_text(s->ctx, wish), .seen = *f};
    c->properties = fv_tune_properties_of(s->ctx, s->learned, wish);
    fv_push(s->ctx, s->candidate, s->n, s->cap, c);
    return c;
}

/* -- Limits of the machine ----------------------------------------------------------------------------------------- */
static void prune(fv_tune_search *s, fv_tune_candidate *c) {
    fv_tune_foresight *f = &c->seen;
    const fv_tune_foresight *d = &s->candidate[0]->seen;
    double room = MOST_SCRATCH * (double)s->job->cache[2];
    if (f->fits && s->job->cache[2] && (double)f->scratch_bytes > room &&
        (double)f->scratch_bytes > SCRATCH_OF_DEFAULT * (double)d->scratch_bytes) {
        f->fits = false;
        snprintf(f->reason, sizeof f->reason, "a program works in %lld bytes, the second cache has %lld",
                 (long long)f->scratch_bytes, (long long)s->job->cache[2]);
    }
    if (f->fits && f->programs > 0 && f->programs < s->job->units && d->programs > f->programs) {
        f->fits = false;
        snprintf(f->reason, sizeof f->reason, "%lld programs for %d %s", (long long)f->programs, s->job->units,
                 s->job->standard->backend->executor ? "units of the device" : "threads");
    }
    if (f->fits) return;
    c->tried = true;
    s->n_pruned++;
    if (s->prune) s->prune(s->user, c);
}

/* -- Candidates ---------------------------------------------------------------------------------------------------- */
/* Adds those of the wishes that are new. false: given up. */
static bool add(fv_tune_search *s, fv_schedule *const *wish, int n) {
    const fv_schedule **list = FV_NEWN(s->ctx, const fv_schedule *, n + 1);
    const char **text = FV_NEWN(s->ctx, const char *, n + 1);
    int m = 0;
    for (int i = 0; i < n && s->n + m < MOST_CANDIDATES; i++) {
        text[m] = fv_tune_wish_text(s->ctx, wish[i]);
        bool known = fv_tune_search_find(s, text[m]) != NULL;
        for (int j = 0; j < m && !known; j++) known = !strcmp(text[j], text[m]);
        if (!known) list[m++] = wish[i];
    }
    fv_tune_foresight *seen = FV_NEWN(s->ctx, fv_tune_foresight, m + 1);
    if (m && !fv_tune_foresee(s->job, list, m, seen)) return false;
    for (int i = 0; i < m; i++) {
        if (seen[i].fits && equal_code(s, seen[i].code)) continue;
        prune(s, new_candidate(s, list[i], &seen[i]));
    }
    return true;
}
static bool add_neighbours(fv_tune_search *s, fv_tune_candidate *centre) {
    if (centre->centred) return true;
    centre->centred = true;
    const fv_plan *p = fv_lower_group(s->job->kept, s->job->group, centre->wish);
    const fv_launch *own = NULL;
    for (int i = 0; p && i < p->n_launches[1]; i++)
        if (p->launch[1][i]->group == s->job->group) own = p->launch[1][i];
    if (!own) return true; /* foreseen to fit, so it does not happen */
    fv_tune_moves moves;
    fv_tune_moves_of(s->ctx, own, centre->wish, s->job->standard->target, &moves);
    return add(s, moves.wish, moves.n);
}

static double model_of(const fv_tune_search *s, const fv_tune_candidate *c) {
    if (c->seen.seconds > 0 && s->standard > 0) return log(c->seen.seconds / s->standard);
    return c->seen.work > 0 && s->work > 0 ? log(c->seen.work / s->work) : 0;
}

bool fv_tune_search_open(fv_ctx *ctx, const fv_tune_job *job, const fv_schedule *from,
                         void (*prune_user)(void *user, const fv_tune_candidate *c), void *user, fv_tune_search *s,
                         const char **reason) {
    *s = (fv_tune_search){.ctx = ctx, .job = job, .prune = prune_user, .user = user};
    s->learned = fv_tune_learn_new(ctx);
    const fv_schedule *list[2] = {NULL, fv_tune_canonical(ctx, from)};
    fv_tune_foresight seen[2];
    *reason = NULL;
    if (!fv_tune_foresee(job, list, from ? 2 : 1, seen)) return false;
    for (int i = 0; i < (from ? 2 : 1); i++)
        if (!seen[i].fits) {
            *reason = fv_strdup(ctx, seen[i].reason);
            return false;
        }
    s->best = new_candidate(s, NULL, &seen[0]);
    s->best->tried = true;
    s->best->ratio = 1;
    s->standard = seen[0].seconds;
    s->work = seen[0].work;
    s->centre = s->best;
    if (from && seen[1].code != seen[0].code) s->centre = new_candidate(s, list[1], &seen[1]);
    return add_neighbours(s, s->centre);
}

static fv_tune_candidate *most_promising(const fv_tune_search *s, double *least) {
    fv_tune_candidate *first = NULL;
    *least = HUGE_VAL;
    if (!s->centre->tried) { /* the start that was given */
        *least = 0;
        return s->centre;
    }
    for (int i = 0; i < s->n; i++) {
        fv_tune_candidate *c = s->candidate[i];
        if (c->tried) continue;
        double e = fv_tune_expect(s->learned, &c->properties, model_of(s, c), true);
        if (e >= *least) continue;
        *least = e;
        first = c;
    }
    return first;
}
/* The best correct candidate, not much worse than the best one, that has not been a centre. */
static fv_tune_candidate *next_centre(const fv_tune_search *s) {
    fv_tune_candidate *next = NULL;
    for (int i = 0; i < s->n; i++) {
        fv_tune_candidate *c = s->candidate[i];
        if (c->centred || !(c->ratio > 0) || c->ratio > FURTHER * s->best->ratio) continue;
        if (!next || c->ratio < next->ratio) next = c;
    }
    return next;
}
fv_tune_candidate *fv_tune_search_next(fv_tune_search *s, double *gain) {
    double least;
    *gain = 0;
    fv_tune_candidate *first, *next;
    while (!(first = most_promising(s, &least)) && (next = next_centre(s)))
        if (!add_neighbours(s, next)) return NULL;
    if (!first) return NULL;
    double g = s->centre->ratio > 0 ? 1 - exp(least) / s->centre->ratio : 0;
    *gain = g > 0 ? g : 0;
    return first;
}
bool fv_tune_search_tell(fv_tune_search *s, fv_tune_candidate *c, double ratio) {
    c->tried = true;
    c->ratio = ratio;
    s->n_tried++;
    if (ratio <= 0) return true;
    fv_tune_learn(s->ctx, s->learned, &c->properties, model_of(s, c), log(ratio));
    if (ratio < s->best->ratio) s->best = c;
    bool better = c == s->centre || !(s->centre->ratio > 0) || ratio < s->centre->ratio;
    if (!better) return true;
    s->centre = c;
    return add_neighbours(s, c);
}
fv_tune_candidate *fv_tune_search_recall(fv_tune_search *s, const fv_schedule *wish, double ratio) {
    wish = fv_tune_canonical(s->ctx, wish);
    const char *text = fv_tune_wish_text(s->ctx, wish);
    fv_tune_candidate *c = *text ? fv_tune_search_find(s, text) : s->candidate[0];
    if (!c) {
        fv_tune_foresight f;
        if (!fv_tune_foresee(s->job, &wish, 1, &f)) return NULL;
        c = new_candidate(s, wish, &f);
        if (!f.fits) {
            c->tried = true;
            return NULL;
        }
    }
    if (c == s->candidate[0]) return c;
    fv_tune_search_tell(s, c, ratio);
    return c;
}
