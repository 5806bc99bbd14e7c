/* Moves from a schedule to its neighbours: see space.h. Invariant: a move is proposed whatever the target can hold;
 * lowering and flattening refuse what does not fit, with the number. */
#include "tune/space.h"

#include <stdlib.h>
#include <string.h>

enum { MOST_VALUES = 24, MOST_TILE = 65536 };

typedef struct {
    fv_ctx *c;
    const fv_launch *at;
    const fv_schedule *wish;
    const fv_target *t;
    fv_tune_moves *out;
} space;

/* -- Wishes -------------------------------------------------------------------------------------------------------- */
static int by_name(const fv_ctx *c, const fv_sched_entry *a, const fv_sched_entry *b) {
    if (a->field != b->field) return a->field < b->field ? -1 : 1;
    return strcmp(fv_cstr(c, a->subject), fv_cstr(c, b->subject));
}
fv_schedule *fv_tune_canonical(fv_ctx *c, const fv_schedule *wish) {
    if (!wish) return NULL;
    fv_schedule *s = fv_schedule_new(c, fv_cstr(c, wish->strategy));
    const fv_sched_entry **order = FV_NEWN(c, const fv_sched_entry *, wish->n + 1);
    for (int i = 0; i < wish->n; i++) {
        int j = i;
        for (; j > 0 && by_name(c, order[j - 1], &wish->entry[i]) > 0; j--) order[j] = order[j - 1];
        order[j] = &wish->entry[i];
    }
    for (int i = 0; i < wish->n; i++)
        fv_schedule_set(c, s, order[i]->field, order[i]->subject, order[i]->item, order[i]->n);
    return s;
}
const char *fv_tune_wish_text(fv_ctx *c, const fv_schedule *wish) {
    fv_buf b = {0};
    if (!wish || (!wish->n && !wish->strategy.i)) return "";
    fv_schedule_print(c, wish, &b);
    const char *text = fv_strdup(c, b.text);
    fv_buf_dispose(&b);
    return text;
}

/* The wish with one entry set (n < 0: taken out). */
static void propose(space *s, fv_field f, fv_str subject, const fv_sched_item *item, int n) {
    fv_schedule *w = fv_schedule_new(s->c, s->at->schedule ? fv_cstr(s->c, s->at->schedule->strategy) : "");
    for (int i = 0; s->wish && i < s->wish->n; i++) {
        const fv_sched_entry *e = &s->wish->entry[i];
        if (n >= 0 || e->field != f || !fv_str_eq(e->subject, subject))
            fv_schedule_set(s->c, w, e->field, e->subject, e->item, e->n);
    }
    if (n >= 0) fv_schedule_set(s->c, w, f, subject, item, n);
    w = fv_tune_canonical(s->c, w);
    fv_push(s->c, s->out->wish, s->out->n, s->out->cap, w);
}

/* -- Tiles --------------------------------------------------------------------------------------------------------- */
typedef struct {
    int n;
    int64_t v[MOST_VALUES];
} values;
static void add(values *l, int64_t v) {
    for (int i = 0; i < l->n; i++)
        if (l->v[i] == v) return;
    if (l->n < MOST_VALUES) l->v[l->n++] = v;
}
/* Is the axis in the lanes; and its block, where one is unrolled. */
static bool in_lanes(const space *s, fv_str axis, int64_t *block) {
    const fv_schedule *own = s->at->schedule;
    bool lanes = false, nests = false;
    *block = 0;
    for (int i = 0; own && i < own->n; i++) {
        const fv_sched_entry *e = &own->entry[i];
        for (int j = 0; e->field == FV_F_NEST && j < e->n; j++) {
            nests = true;
            if (!fv_str_eq(e->item[j].name, axis)) continue;
            lanes = lanes || e->item[j].lanes;
            if (e->item[j].unroll && e->item[j].step > *block) *block = e->item[j].step;
        }
    }
    for (int i = 0; own && !nests && i < own->n; i++)
        if (own->entry[i].field == FV_F_LANE && !own->entry[i].subject.i && own->entry[i].n)
            lanes = lanes || fv_str_eq(own->entry[i].item[0].name, axis);
    return lanes;
}
static void tiles(space *s, const fv_tile_size *t) {
    int64_t block, unit = s->t->lanes > 0 ? s->t->lanes : 1, n = t->tile;
    bool lanes = in_lanes(s, t->axis, &block);
    int64_t most = lanes ? (t->extent + unit - 1) / unit * unit : t->extent;
    values l = {0};
    add(&l, n / 2);
    add(&l, n * 2);
    add(&l, n / 4);
    add(&l, n * 4);
    for (int i = 1; i <= 8 && lanes; i++) add(&l, i * unit);
    for (int i = 1; i <= 16 && !lanes && block > 1; i = i < 4 ? i + 1 : i + i / 2) add(&l, i * block);
    for (int i = 1; i <= 4; i++) add(&l, (t->extent + i - 1) / i);
    for (int64_t v = 1; v <= 512 && !lanes; v *= 2) add(&l, v);
    for (int i = 0; i < l.n; i++) {
        int64_t v = l.v[i];
        if (v < 1 || v > most || v > MOST_TILE || v == n || v > 16 * n || 16 * v < n) continue;
        if (lanes && v % unit && v != t->extent) continue;
        propose(s, FV_F_TILE, t->axis, &(fv_sched_item){.step = v}, 1);
    }
}

/* -- Nests --------------------------------------------------------------------------------------------------------- */
static int64_t tile_of(const space *s, fv_str axis) {
    const fv_tile_axis *a = fv_kernel_axis(s->at->kernel, axis, NULL);
    return a && a->tile ? a->tile : 1;
}
static void propose_nest(space *s, fv_str label, const fv_sched_item *item, int n) {
    propose(s, FV_F_NEST, label, item, n);
}
static void change_item(space *s, const fv_sched_entry *e, int i, int64_t step, bool unroll) {
    fv_sched_item *item = FV_NEWN(s->c, fv_sched_item, e->n);
    memcpy(item, e->item, sizeof *item * (size_t)e->n);
    if (item[i].step == step && item[i].unroll == unroll) return;
    item[i].step = step;
    item[i].unroll = unroll;
    propose_nest(s, e->subject, item, e->n);
}
static void nest_entry(space *s, const fv_sched_entry *e) {
    static const int blocks[] = {2, 3, 4, 5, 6, 7, 8, 10, 12, 14, 16};
    for (int i = 0; i < e->n; i++) {
        int64_t tile = tile_of(s, e->item[i].name), lanes = s->t->lanes;
        if (e->item[i].lanes) {
            if (tile > lanes) change_item(s, e, i, 0, false);
            for (int v = 1; v <= 6 && v * lanes < tile; v = v < 4 ? v + 1 : v + 2)
                change_item(s, e, i, v * lanes, false);
            continue;
        }
        change_item(s, e, i, 0, false);
        for (size_t b = 0; b < sizeof blocks / sizeof *blocks && blocks[b] < tile; b++)
            change_item(s, e, i, blocks[b], true);
        if (tile > 1 && tile <= 16) change_item(s, e, i, 0, true);
    }
    for (int i = 0; i + 1 < e->n; i++) {
        fv_sched_item *item = FV_NEWN(s->c, fv_sched_item, e->n);
        memcpy(item, e->item, sizeof *item * (size_t)e->n);
        item[i] = e->item[i + 1];
        item[i + 1] = e->item[i];
        propose_nest(s, e->subject, item, e->n);
    }
    propose_nest(s, e->subject, NULL, 0); /* the flattening's own choice */
}
/* A product that no entry speaks of. */
static void new_nest(space *s, const fv_stmt *p) {
    static const int blocks[] = {1, 2, 4, 6, 8, 12};
    fv_str free[FV_MAX_AXES];
    int n = fv_stmt_free(p, free);
    for (int a = 0; a < n; a++) {
        if (tile_of(s, free[a]) * 2 < s->t->lanes) continue;
        for (int r = 0; r < n; r++) {
            if (r == a || tile_of(s, free[r]) < 2) continue;
            for (int v = 0; v <= 4; v = v ? 2 * v : 1)
                for (size_t b = 0; b < sizeof blocks / sizeof *blocks; b++) {
                    fv_sched_item item[FV_MAX_AXES + 2] = {
                        {.name = free[a], .lanes = true, .step = v * s->t->lanes},
                        {.name = free[r], .step = blocks[b], .unroll = blocks[b] > 1}};
                    int k = 2;
                    if (v * s->t->lanes >= tile_of(s, free[a]) && v > 1) continue;
                    if (blocks[b] > tile_of(s, free[r]) || blocks[b] * (v ? v : 1) > s->t->registers) continue;
                    if (blocks[b] == 1) item[1].step = 0;
                    for (int o = 0; o < p->n_over && k < FV_MAX_AXES + 2; o++) item[k++].name = p->over[o];
                    propose_nest(s, p->label, item, k);
                }
        }
    }
}

/* -- Lanes --------------------------------------------------------------------------------------------------------- */
static bool lane_of_buffer(fv_stmt *p, void *user) {
    space *s = user;
    if (!fv_stmt_is_op(p) || !p->target || p->target->kind != FV_OBJ_BUFFER || p->target->rank < 2) return false;
    const fv_buffer *b = (const fv_buffer *)(const void *)p->target;
    for (int i = 0; i < s->out->n; i++) /* once per buffer: statements may write one again */
        for (int j = 0; j < s->out->wish[i]->n; j++)
            if (s->out->wish[i]->entry[j].field == FV_F_LANE &&
                fv_str_eq(s->out->wish[i]->entry[j].subject, b->obj.name) &&
                !fv_schedule_get(s->wish, FV_F_LANE, b->obj.name))
                return false;
    for (int i = 0; i < b->obj.rank; i++)
        if (b->extent[i] > 1 && b->extent[i] * 2 >= s->t->lanes)
            propose(s, FV_F_LANE, b->obj.name, &(fv_sched_item){.name = b->axis[i]}, 1);
    return false;
}
static void lane_list(space *s, const fv_sched_entry *e) {
    for (int i = 1; i < e->n; i++) { /* another one first */
        fv_sched_item *item = FV_NEWN(s->c, fv_sched_item, e->n);
        item[0] = e->item[i];
        for (int j = 0, k = 1; j < e->n; j++)
            if (j != i) item[k++] = e->item[j];
        propose(s, FV_F_LANE, e->subject, item, e->n);
    }
}

static bool new_nests(fv_stmt *p, void *user) {
    space *s = user;
    bool known = p->kind != FV_S_CONTRACT || !p->label.i ||
                 (s->at->schedule && fv_schedule_get(s->at->schedule, FV_F_NEST, p->label));
    if (!known) new_nest(s, p);
    return false;
}

static void strategies(space *s) {
    static const char *const words[] = {"attend.box", "attend.offset"};
    const char *own = s->at->schedule ? fv_cstr(s->c, s->at->schedule->strategy) : "";
    if (strncmp(own, "attend.", 7)) return;
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        if (!strcmp(words[i], own)) continue;
        fv_schedule *w = fv_schedule_new(s->c, words[i]);
        fv_push(s->c, s->out->wish, s->out->n, s->out->cap, w);
    }
    if (strcmp(own, "attend.box")) return;
    fv_str none = {0};
    for (int i = 0; i < 2; i++) {
        space alone = *s; /* other tile axes than now: nothing of the wish is kept */
        alone.wish = NULL;
        propose(&alone, FV_F_SOFTMAX, none, &(fv_sched_item){.name = fv_intern(s->c, i ? "online" : "resident")}, 1);
    }
}

/* -- Items --------------------------------------------------------------------------------------------------------- */
typedef struct {
    fv_str name[FV_MAX_AXES];
    int n;
} axes;
static bool axes_over(fv_stmt *p, void *user) {
    axes *a = user;
    for (int i = 0; i < p->n_axes; i++) {
        int j = 0;
        while (j < a->n && !fv_str_eq(a->name[j], p->axis[i].name)) j++;
        if (j == a->n && a->n < FV_MAX_AXES && p->axis[i].tile > 1) a->name[a->n++] = p->axis[i].name;
    }
    for (int i = 0; fv_stmt_is_op(p) && p->target && i < p->target->rank; i++) {
        if (p->target->kind != FV_OBJ_BUFFER) break;
        const fv_buffer *b = (const fv_buffer *)(const void *)p->target;
        int j = 0;
        while (j < a->n && !fv_str_eq(a->name[j], b->axis[i])) j++;
        if (j == a->n && a->n < FV_MAX_AXES && b->extent[i] > 1) a->name[a->n++] = b->axis[i];
    }
    return false;
}
static bool products(fv_stmt *p, void *user) {
    space *s = user;
    if (p->kind == FV_S_CONTRACT && p->label.i)
        propose(s, FV_F_MMA, p->label, &(fv_sched_item){.name = fv_intern(s->c, "no")}, 1);
    return false;
}
static void items(space *s) {
    fv_str none = {0}, fuse = fv_intern(s->c, "item");
    axes a = {0};
    fv_stmts_visit(s->at->kernel->body, axes_over, &a);
    for (int64_t g = 16; g <= 256; g *= 2) propose(s, FV_F_GROUP, none, &(fv_sched_item){.step = g}, 1);
    for (int i = 0; i < a.n; i++) {
        fv_sched_item one[2] = {{.name = a.name[i]}};
        propose(s, FV_F_ITEM, none, one, 1);
        for (int j = 0; j < a.n; j++) {
            if (i == j) continue;
            one[1] = (fv_sched_item){.name = a.name[j]};
            propose(s, FV_F_ITEM, none, one, 2);
            propose(s, FV_F_FUSE, fuse, one, 2);
        }
    }
    if (s->t->unit) fv_stmts_visit(s->at->kernel->body, products, s);
}

void fv_tune_moves_of(fv_ctx *ctx, const fv_launch *at, const fv_schedule *wish, const fv_target *t,
                      fv_tune_moves *out) {
    space s = {ctx, at, wish, t, out};
    *out = (fv_tune_moves){0};
    strategies(&s);
    for (int i = 0; i < at->n_tiles; i++) tiles(&s, &at->tile[i]);
    for (int i = 0; at->schedule && i < at->schedule->n; i++) {
        const fv_sched_entry *e = &at->schedule->entry[i];
        if (t->items) break; /* not read there */
        if (e->field == FV_F_NEST) nest_entry(&s, e);
        if (e->field == FV_F_LANE) lane_list(&s, e);
    }
    if (t->items) items(&s);
    for (int v = t->lanes / 2; !t->items && v >= 4 && v >= t->lanes / 4; v /= 2)
        propose(&s, FV_F_VECTOR, (fv_str){0}, &(fv_sched_item){.step = v}, 1);
    if (!t->items) {
        fv_stmts_visit(at->kernel->body, new_nests, &s);
        fv_stmts_visit(at->kernel->body, lane_of_buffer, &s);
    }
    for (int i = 0; wish && i < wish->n; i++) propose(&s, wish->entry[i].field, wish->entry[i].subject, NULL, -1);
}
