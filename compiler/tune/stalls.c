/* Where dependences leave a processor idle: see cost.h. Two places are known.
 *
 * A loop that carries a value from step to step takes at least a latency for each operation on the way. And what
 * follows a sum over the lanes of a vector (a mean, its division, the root of a variance) waits for a whole nest to
 * end, a chain of shuffles and scalars that the next nest waits for in turn. A processor that runs ahead fills such
 * gaps with what it finds in a window of instructions; a nest that is short beside the window leaves that part of the
 * gap alone. */
#include "tune/cost_inside.h"

#include <math.h>

/* Of processors of these years: instructions in flight, and those done in the time of one latency. SLOTS: registers
 * that are followed. */
enum { WINDOW = 256, BUSY = 8, SLOTS = 64 };

static double issued_of(const cost_node *n) {
    double sum = 0;
    for (; n; n = n->next) sum += n->runs * n->issued + issued_of(n->body) + issued_of(n->orelse);
    return sum;
}
static bool has_loop(const cost_node *n) {
    for (; n; n = n->next)
        if (n->s->kind == FV_L_FOR || has_loop(n->body) || has_loop(n->orelse)) return true;
    return false;
}
static double in_window(double instructions) { return instructions < WINDOW ? instructions / WINDOW : 1; }

/* -- Loops that carry values ---- */
typedef struct {
    const fv_memory *memory;
    int64_t index;
    double steps;
    bool own; /* stored before it was read: nothing is carried */
} slot;
typedef struct {
    int n;
    slot of[SLOTS];
} slots;
/* Operations from the slot's value to the root, -1: it is not in there. */
static double path(const fv_expr *e, const slot *s) {
    int64_t i;
    if (e->op == FV_X_LOAD && e->ref == &s->memory->obj && fv_is_int(e->arg[0], &i) && i == s->index) return 0;
    double most = -1;
    for (int j = 0; j < e->n; j++) most = fmax(most, path(e->arg[j], s));
    return most < 0 ? -1 : most + (e->op != FV_X_SPLAT);
}
/* runs: of the loop's body; a step under a condition counts as often as it is taken. */
static void carry(slots *list, const cost_node *n, double runs) {
    for (; n; n = n->next) {
        carry(list, n->body, runs);
        carry(list, n->orelse, runs);
        const fv_flat *s = n->s;
        slot x = {.memory = s->memory};
        if (s->kind != FV_L_STORE || !s->memory || s->memory->space != FV_SPACE_REG || !fv_is_int(s->offset, &x.index))
            continue;
        slot *at = NULL;
        for (int i = 0; i < list->n && !at; i++)
            if (list->of[i].memory == x.memory && list->of[i].index == x.index) at = &list->of[i];
        if (!at && list->n == SLOTS) continue;
        if (!at) *(at = &list->of[list->n++]) = x;
        double steps = path(s->expr, at);
        if (steps < 0) at->own = at->own || at->steps <= 0;
        if (steps >= 0) at->steps += steps * n->runs / runs;
    }
}
/* Steps that one execution of the loop waits beyond what its instructions take, BUSY of them in a step. */
static double loop_stall(const cost_node *n) {
    slots list = {0};
    carry(&list, n->body, n->body->runs);
    double most = 0, trips = n->body->runs / n->runs, each = issued_of(n->body) / n->body->runs;
    for (int i = 0; i < list.n; i++)
        if (!list.of[i].own) most = fmax(most, list.of[i].steps);
    double idle = most * in_window(trips * each) - each / BUSY; /* a short loop has others beside it in the window */
    return idle > 0 ? trips * idle : 0;
}

/* -- What follows horizontal reductions ---- */
static double steps_of(const fv_expr *e) {
    switch (e->op) {
    case FV_X_SPLAT:
    case FV_X_LOAD: return 0;
    case FV_X_DIV:
    case FV_X_SQRT: return 3;
    case FV_X_RSQRT: return 6;
    case FV_X_HSUM:
    case FV_X_HMAX:
    case FV_X_HMIN: return 2 * log2(e->arg[0]->lanes);
    default: return 1;
    }
}
/* Steps from the end of the vectors to this value; 0: no horizontal reduction is on the way (a condition is guessed,
 * not waited for). */
static double tail_of(const fv_expr *e, const double *tail) {
    double most = 0;
    bool horizontal = e->op == FV_X_HSUM || e->op == FV_X_HMAX || e->op == FV_X_HMIN;
    if (e->op == FV_X_VAR) return tail[e->name.i];
    for (int j = 0; j < e->n; j++) most = fmax(most, tail_of(e->arg[j], tail));
    horizontal = horizontal && fv_type_is_float(e->type); /* addresses wait for nothing */
    return most > 0 || horizontal ? most + steps_of(e) : 0;
}
typedef struct {
    double *tail; /* of names */
    double stalls;
} stalls;
static void follow(stalls *s, const cost_node *list) {
    double most = 0;
    for (const cost_node *n = list; n; n = n->next) {
        if (!(n->runs > 0)) continue;
        if (n->s->expr) {
            double t = tail_of(n->s->expr, s->tail);
            if (n->s->kind == FV_L_LET) s->tail[n->s->name.i] = t;
            most = fmax(most, t + (n->s->kind == FV_L_STORE && t > 0)); /* which is loaded again */
        }
        if (n->s->kind == FV_L_FOR && n->body && n->body->runs > 0 && !has_loop(n->body))
            s->stalls += n->runs * loop_stall(n);
        if (n->body) follow(s, n->body);
        if (n->orelse) follow(s, n->orelse);
    }
    if (most > 0) s->stalls += list->runs * most * in_window(issued_of(list) / list->runs);
}
void cost_stalls(const fv_flat_kernel *k, const cost_node *root, fv_counts *out) {
    stalls s = {.tail = FV_NEWN(k->ctx, double, fv_str_count(k->ctx) + 1)};
    follow(&s, root);
    out->stalls = s.stalls;
}
