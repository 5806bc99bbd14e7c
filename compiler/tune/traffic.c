/* Bytes that each level of memory exchanges with the next, from the loop nest alone: see cost.h.
 *
 * Footprints of a nest at every depth, and what does not fit is loaded anew: the layer conditions of stencil codes (G.
 * Rivera, C.-W. Tseng, SC 2000; H. Stengel, J. Treibig, G. Hager, G. Wellein, ICS 2015) for nests of any accesses, on
 * sets of references as of M. E. Wolf and M. S. Lam (PLDI 1991). For each loop and array the lines touched by the whole
 * loop and by one step are boxes over the array's dimensions. A cache that holds all a loop touches loads each line
 * once. One that holds what a step touches loads each line of the loop once too: what steps share is still there. Any
 * other loads, in each step, what the step would load alone. */
#include "tune/box.h"
#include "tune/cost_inside.h"

#include <math.h>
#include <stdlib.h>

enum { TERMS = 16, BLOCKS = 4 };

typedef struct {
    fv_boxes boxes;
    double touched; /* bytes of lines, each access alone: an upper bound */
    double miss[4]; /* [1..3]: bytes loaded by the parts of a step */
    bool wrote;
} part;
typedef struct {
    double runs; /* executions, over all programs */
    part *of;    /* by array */
} frame;
typedef struct {
    cost_scope scope;
    int64_t cache[4]; /* of a level that is not known: that of the one before, of the first: no end */
    int n;
    const fv_obj **obj;
    fv_array *array;
    frame whole[COST_LEVELS], step[COST_LEVELS + 1]; /* of level k: the loop; one step of the loop before it */
    double trips[COST_LEVELS];
    int n_steps;
} traffic;

/* -- Arrays ---- */
static void add_array(traffic *t, const fv_obj *o, fv_array a) {
    t->obj[t->n] = o;
    t->array[t->n++] = a;
}
static bool is_scratch(const fv_memory *m) { return m->space != FV_SPACE_REG; }
static int count_allocs(const cost_node *n) {
    int sum = 0;
    for (; n; n = n->next) sum += (n->s->kind == FV_L_ALLOC) + count_allocs(n->body) + count_allocs(n->orelse);
    return sum;
}
static void add_allocs(traffic *t, const cost_node *n) {
    static const int64_t one = 1;
    for (; n; n = n->next) {
        const fv_memory *m = n->s->memory;
        if (n->s->kind == FV_L_ALLOC && is_scratch(m))
            add_array(t, &m->obj, fv_array_of(fv_type_bytes(m->obj.type), 1, &m->count, &one));
        add_allocs(t, n->body);
        add_allocs(t, n->orelse);
    }
}
static int find(const traffic *t, const fv_obj *o) {
    for (int i = 0; i < t->n; i++)
        if (t->obj[i] == o) return i;
    return -1;
}
static double bytes_of(const traffic *t, int i, const part *p) {
    return fmin(fv_boxes_bytes(&t->array[i], &p->boxes), p->touched);
}
static double bytes_of_all(const traffic *t, const frame *f) {
    double sum = 0;
    for (int i = 0; i < t->n; i++) sum += bytes_of(t, i, &f->of[i]);
    return sum;
}
static void clear(const traffic *t, frame *f, double runs) {
    f->runs = runs;
    for (int i = 0; i < t->n; i++) {
        part *p = &f->of[i];
        p->boxes.n = 0;
        p->touched = 0;
        p->wrote = false;
        for (int c = 0; c < 4; c++) p->miss[c] = 0;
    }
}

/* -- References: an address is a sum of coef * atom, atoms being loop variables and what is no sum ---- */
typedef struct {
    int n;
    bool many; /* more terms than fit: it may be anywhere */
    int64_t constant;
    struct {
        int64_t coef;
        const fv_expr *atom;
    } term[TERMS];
} address;
static void add_term(address *a, const fv_expr *e, int64_t coef) {
    for (int i = 0; i < a->n; i++)
        if (a->term[i].atom == e) {
            a->term[i].coef += coef;
            return;
        }
    a->many = a->many || a->n == TERMS;
    if (a->n == TERMS) return;
    a->term[a->n].coef = coef;
    a->term[a->n++].atom = e;
}
static void add_address(const traffic *t, address *a, const fv_expr *e, int64_t coef) {
    int64_t k;
    const fv_expr *let = e->op == FV_X_VAR ? t->scope.name[e->name.i].let : NULL;
    if (fv_is_int(e, &k)) a->constant += coef * k;
    else if (e->op == FV_X_ADD || e->op == FV_X_SUB) {
        add_address(t, a, e->arg[0], coef);
        add_address(t, a, e->arg[1], e->op == FV_X_SUB ? -coef : coef);
    } else if (e->op == FV_X_NEG) add_address(t, a, e->arg[0], -coef);
    else if (e->op == FV_X_SPLAT) add_address(t, a, e->arg[0], coef);
    else if (e->op == FV_X_MUL && e->arg[1]->op == FV_X_SPLAT && fv_is_int(e->arg[1]->arg[0], &k))
        add_address(t, a, e->arg[0], coef * k);
    else if (e->op == FV_X_MUL && fv_is_int(e->arg[1], &k)) add_address(t, a, e->arg[0], coef * k);
    else if (e->op == FV_X_MUL && fv_is_int(e->arg[0], &k)) add_address(t, a, e->arg[1], coef * k);
    else if (let) add_address(t, a, let, coef);
    else add_term(a, e, coef);
}
/* lanes elements in each of `rows`. */
typedef struct {
    const fv_obj *obj;
    const fv_expr *offset, *more; /* NULL, or added */
    int64_t lanes, rows, stride;
    double times; /* executions in a step of the innermost loop */
    bool store;
} access;
static void touch(traffic *t, const access *x) {
    int o = find(t, x->obj), depth = t->scope.depth;
    if (o < 0) return;
    const fv_array *array = &t->array[o];
    address a = {0};
    add_address(t, &a, x->offset, 1);
    if (x->more) add_address(t, &a, x->more, 1);
    cost_span inner[TERMS];
    double touched = 0;
    for (int k = depth; k >= 0; k--) {
        fv_box b = {.at = a.constant};
        bool moves = a.many;
        for (int i = 0; i < a.n; i++) {
            cost_span s = cost_span_of(&t->scope, a.term[i].atom, k);
            moves = moves || (k < depth && (s.lo != inner[i].lo || s.hi != inner[i].hi));
            inner[i] = s;
            b.at += a.term[i].coef * (int64_t)s.lo;
            fv_box_extend(array, &b, a.term[i].coef, (int64_t)(s.hi - s.lo));
        }
        fv_box_extend(array, &b, 1, x->lanes - 1);
        if (x->rows > 1) fv_box_extend(array, &b, x->stride, x->rows - 1);
        fv_box_carry(array, &b);
        if (k == depth) touched = x->times * fv_box_bytes(array, &b);
        else if (moves) touched *= t->trips[k];
        frame *f = k == depth ? &t->step[t->n_steps - 1] : &t->whole[k];
        part *p = &f->of[o];
        fv_boxes_add(array, &p->boxes, &b);
        p->touched += touched;
        p->wrote = p->wrote || x->store;
        if (k == depth)
            for (int c = 1; c < 4; c++) p->miss[c] += touched;
    }
}
typedef struct {
    traffic *t;
    double times;
} reader;
static bool touch_load(const fv_expr *e, void *user) {
    const reader *r = user;
    if (e->op != FV_X_LOAD && e->op != FV_X_PERMLOAD && e->op != FV_X_GATHER) return false;
    touch(r->t, &(access){.obj = e->ref,
                          .times = r->times,
                          .offset = e->arg[0],
                          .more = e->op == FV_X_LOAD && e->i ? e->arg[1] : NULL,
                          .lanes = e->op == FV_X_GATHER ? 1 : e->lanes});
    return false;
}
static void touch_statement(traffic *t, const cost_node *n) {
    const fv_flat *s = n->s;
    reader r = {t, n->runs / t->step[t->n_steps - 1].runs};
    if (s->expr) fv_visit(s->expr, touch_load, &r);
    if (s->mask) fv_visit(s->mask, touch_load, &r);
    bool frag = s->kind == FV_L_FRAG && (s->frag == FV_FRAG_LOAD || s->frag == FV_FRAG_STORE);
    if (s->kind != FV_L_STORE && !frag) return;
    const fv_obj *o = s->memory ? &s->memory->obj : s->tensor ? &s->tensor->obj : NULL;
    if (o)
        touch(t, &(access){.obj = o,
                           .times = r.times,
                           .offset = s->offset,
                           .more = s->scatter,
                           .lanes = frag         ? FV_LINE_BYTES / fv_type_bytes(o->type)
                                    : s->scatter ? 1
                                                 : s->expr->lanes,
                           .rows = frag ? FV_FRAG_ROWS : 1,
                           .stride = s->stride,
                           .store = !frag || s->frag == FV_FRAG_STORE});
}

/* -- Loops ---- */
/* What a frame's parts load, given what its parts load one by one: each line once where the cache holds all. */
static void settle(const traffic *t, frame *f) {
    double all = bytes_of_all(t, f);
    for (int c = 1; c < 4; c++)
        for (int i = 0; i < t->n && all <= (double)t->cache[c]; i++)
            f->of[i].miss[c] = fmin(f->of[i].miss[c], bytes_of(t, i, &f->of[i]));
}
/* The same of a loop of `trips` such steps. */
static void close_level(const traffic *t, frame *whole, const frame *step, double trips) {
    double all = bytes_of_all(t, whole), one = bytes_of_all(t, step);
    for (int c = 1; c < 4; c++)
        for (int i = 0; i < t->n; i++) {
            double miss = trips * step->of[i].miss[c];
            if (all <= (double)t->cache[c] || one <= (double)t->cache[c])
                miss = fmin(miss, bytes_of(t, i, &whole->of[i]));
            whole->of[i].miss[c] = miss;
        }
}
static void join(const traffic *t, frame *to, const frame *from) {
    double times = from->runs / to->runs;
    for (int i = 0; i < t->n; i++) {
        const part *f = &from->of[i];
        part *p = &to->of[i];
        for (int b = 0; b < f->boxes.n; b++) fv_boxes_add(&t->array[i], &p->boxes, &f->boxes.box[b]);
        p->touched += times * f->touched;
        p->wrote = p->wrote || f->wrote;
        for (int c = 1; c < 4; c++) p->miss[c] += times * f->miss[c];
    }
}
static void walk(traffic *t, const cost_node *n);
static void walk_loop(traffic *t, const cost_node *n) {
    if (!n->body || !(n->body->runs > 0)) return;
    int64_t block[BLOCKS];
    double steps = n->body->runs / n->runs;
    int n_blocks = cost_scope_blocks(&t->scope, n, block, BLOCKS), first = t->scope.depth;
    while (n_blocks && (double)block[0] >= steps) { /* the largest is the whole loop */
        for (int i = 1; i < n_blocks; i++) block[i - 1] = block[i];
        n_blocks--;
    }
    int levels = cost_scope_for(&t->scope, n->s, block, n_blocks);
    if (!levels) { /* deeper than is followed: one step stands for the loop */
        walk(t, n->body);
        return;
    }
    for (int i = 0; i < levels; i++) {
        double size = i ? (double)block[i - 1] : steps, inner = i < levels - 1 ? (double)block[i] : 1;
        clear(t, &t->whole[first + i], n->runs * (steps / size));
        t->trips[first + i] = size / inner;
    }
    frame *step = &t->step[t->n_steps++];
    clear(t, step, n->body->runs);
    walk(t, n->body);
    t->n_steps--;
    settle(t, step);
    for (int i = levels - 1; i >= 0; i--) {
        frame *whole = &t->whole[first + i];
        close_level(t, whole, i < levels - 1 ? whole + 1 : step, t->trips[first + i]);
    }
    t->scope.depth = first;
    join(t, &t->step[t->n_steps - 1], &t->whole[first]);
}
static void walk(traffic *t, const cost_node *n) {
    for (; n; n = n->next) {
        const fv_flat *s = n->s;
        if (!(n->runs > 0)) continue;
        touch_statement(t, n);
        if (s->kind == FV_L_LET && (s->expr->type == FV_I32 || s->expr->type == FV_BOOL))
            cost_scope_let(&t->scope, s->name, s->expr);
        if (s->kind == FV_L_FOR) walk_loop(t, n);
        if (s->kind == FV_L_IF) {
            walk(t, n->body);
            walk(t, n->orelse);
        }
    }
}
static void give(const traffic *t, const part *p, int i, fv_array_traffic *to) {
    double first = bytes_of(t, i, p);
    to->first += first;
    to->written = to->written || p->wrote;
    for (int c = 1; c < 4; c++) to->again[c] += fmax(0, p->miss[c] - first);
}
void cost_traffic(const fv_flat_kernel *k, const cost_node *root, const int64_t cache[4], fv_counts *out) {
    int most = k->n_tensors + count_allocs(root);
    traffic t = {
        .scope = {.ctx = k->ctx, .programs = k->programs, .name = FV_NEWN(k->ctx, cost_name, fv_str_count(k->ctx) + 1)},
        .obj = FV_NEWN(k->ctx, const fv_obj *, most + 1),
        .array = FV_NEWN(k->ctx, fv_array, most + 1)};
    t.cache[0] = INT64_MAX;
    for (int c = 1; c < 4; c++) t.cache[c] = cache[c] > 0 ? cache[c] : t.cache[c - 1];
    for (int i = 0; i < k->n_tensors; i++) {
        const fv_tensor *x = k->tensor[i];
        add_array(&t, &x->obj, fv_array_of(fv_type_bytes(x->obj.type), x->obj.rank, x->extent, x->stride));
    }
    add_allocs(&t, root);
    size_t frames = 2 * COST_LEVELS + 1;
    part *room = calloc(frames * (size_t)(t.n + 1), sizeof *room);
    FV_ASSERT(room, "out of memory");
    for (int i = 0; i <= COST_LEVELS; i++) t.step[i].of = room + (size_t)i * (size_t)t.n;
    for (int i = 0; i < COST_LEVELS; i++) t.whole[i].of = room + (size_t)(COST_LEVELS + 1 + i) * (size_t)t.n;
    frame *all = &t.step[t.n_steps++];
    clear(&t, all, 1);
    walk(&t, root);
    settle(&t, all);
    out->n_arrays = k->n_tensors;
    out->array = FV_NEWN(k->ctx, fv_array_traffic, k->n_tensors + 1);
    for (int i = 0; i < t.n; i++) give(&t, &all->of[i], i, &out->array[i < k->n_tensors ? i : k->n_tensors]);
    free(room);
}
