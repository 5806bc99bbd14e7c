/* attend.box: a tile of queries against all keys of a box. Queries that no key index reads form the tile (all tokens of
 * dense attention, the tokens of a window or region); everything that an index reads is a grid point. Keys that fit are
 * resident: one softmax; else blocks of keys with a running maximum. */
#include "lower/attend_hull.h"

#include <math.h>
#include <string.h>

enum { RESIDENT_KEYS = 320, KEY_BLOCK = 128, MOST_RESIDENT = 16384, PAIR_VECTORS = 8 };

/* Queries of a tile, and keys of a block: 0, all of them. */
typedef struct {
    int64_t rows, keys;
} tile_size;

static int64_t extent_of(const fv_axis *a, int n) {
    int64_t e = 1;
    for (int i = 0; i < n; i++) e *= a[i].extent;
    return e;
}

/* On matrix units of work items a tile's queries are in the group's local memory, with copies of two operands in 16 bits
 * beside them; smaller tiles where these would not fit. Scores and sums are in fragments, but if all keys must be there
 * at once their number is not bounded, and room for them is kept. */
static tile_size unit_tile(const attend *x, int64_t all, bool must) {
    static const tile_size try[] = {{64, 64}, {32, 64}, {32, 32}, {16, 64}, {16, 32}};
    int64_t dot = extent_of(x->a->dot, x->a->n_dot), e = extent_of(x->e, x->n_e), n = sizeof try / sizeof *try;
    tile_size t = try[n - 1];
    for (int64_t i = 0; i < n; i++) {
        t = try[i];
        if (!must && t.keys > x->l->t->unit->keys && i + 1 < n) continue;
        if (must || all <= t.keys) t.keys = all;
        int64_t wide = t.keys > e ? t.keys : e, copies = 2 * 32 * (t.rows + wide + 16) + 16 * (t.rows + wide);
        if (4 * t.rows * (dot + (must ? t.keys + e : 0)) + copies <= x->l->t->l1_bytes) break;
    }
    if (t.keys == all) t.keys = 0;
    return t;
}

static void online_loop(attend_program *p, fv_stmts *list) {
    attend *x = p->x;
    lower *l = x->l;
    fv_ctx *c = l->ctx;
    fv_str key = p->key[0][0];
    int64_t n = p->keys[0].extent, block = p->k.inner[0].tile;
    fv_stmt *loop = lower_stmt(&p->k, list, FV_S_FOR, NULL);
    loop->n_axes = 1;
    loop->axis = FV_NEW(c, fv_tile_axis);
    *loop->axis = (fv_tile_axis){.name = key, .tile = block, .base = fv_int(c, 0), .limit = fv_int(c, n)};
    fv_stmts body = {0}, work = {0};
    const fv_expr *full = NULL, *never = NULL, *always = NULL;
    attend_set *s = &x->set[0];
    if (s->exists) {
        /* Three-valued over the box of valid queries and keys of this block. */
        const fv_expr *leaf[3], *lo[3], *hi[3];
        int nl = 0;
        for (int i = 0; i < p->n_tile; i++, nl++) {
            const fv_expr *base = fv_var(c, fv_base_name(c, p->tile[i]), FV_I32);
            leaf[nl] = fv_axis_ref(c, p->tile[i]);
            lo[nl] = base;
            int64_t tile = 0;
            for (int g = 0; g < p->k.n_grid; g++)
                if (fv_str_eq(p->k.grid[g].name, p->tile[i])) tile = p->k.grid[g].tile;
            hi[nl] = fv_op2(c, FV_X_MIN, fv_addi(c, base, tile - 1), fv_int(c, lower_extent(&p->k, p->tile[i]) - 1));
        }
        const fv_expr *base = fv_var(c, fv_base_name(c, key), FV_I32);
        leaf[nl] = fv_axis_ref(c, key);
        lo[nl] = base;
        hi[nl++] = fv_op2(c, FV_X_MIN, fv_addi(c, base, block - 1), fv_int(c, n - 1));
        lower_box_test(l, &p->k.facts, attend_bind(p, 0, s->exists), leaf, lo, hi, nl, &always, &never);
        fv_stmt *let = lower_stmt(&p->k, &body, FV_S_LET, NULL);
        let->name = fv_intern(c, "full");
        let->expr = always ? always : fv_bool(c, false);
        full = fv_var(c, let->name, FV_BOOL);
    }
    attend_scores(p, &work, 0);
    attend_online(p, &work, 0, full);
    attend_sum(p, &work, 0, false, full);
    if (never) {
        fv_stmt *visit = lower_stmt(&p->k, &body, FV_S_IF, NULL);
        visit->expr = fv_op1(c, FV_X_NOT, never);
        visit->body = work.first;
    } else if (body.last) body.last->next = work.first;
    else body = work;
    loop->body = body.first;
}

/* Keys at places that an index tensor names are no product of two boxes, which would be blocked by itself: several keys
 * (scores) and several queries (sums) at once hide the latency of one chain of sums. */
static bool read_in_index(const fv_expr *e, void *user) {
    (void)user;
    return e->op == FV_X_READ;
}
static bool gathers(const fv_expr *e, void *user) {
    (void)user;
    for (int i = 0; e->op == FV_X_READ && i < e->n; i++)
        if (fv_visit(e->arg[i], read_in_index, NULL)) return true;
    return false;
}
/* Rows of sums beside the vectors of one operand; 0: no room. */
static int64_t row_block(const lower *l, int64_t vectors) {
    return vectors ? (l->t->registers - 4 - vectors) / vectors : 0;
}
static void gathered_nests(attend_program *p, int64_t tile, bool columns) {
    attend *x = p->x;
    fv_ctx *c = x->l->ctx;
    const attend_set *s = &x->set[0];
    const char *query = fv_cstr(c, p->tile[0]), *key = fv_cstr(c, p->key[0][0]);
    int64_t lanes = x->l->t->lanes, vectors = (tile + lanes - 1) / lanes, spare = row_block(x->l, vectors);
    fv_buf nest = {0};
    if (p->qk.i && spare > 0 && s->k.value && fv_visit(s->k.value, gathers, NULL)) {
        fv_buf_printf(&nest, "%s~,%s/%lld!", query, key, (long long)(spare > 8 ? 8 : spare));
        for (int i = 0; i < x->a->n_dot; i++) fv_buf_printf(&nest, ",%s", fv_cstr(c, x->a->dot[i].name));
        fv_schedule_set_names(c, p->k.schedule, FV_F_NEST, fv_cstr(c, p->qk), nest.text);
        nest.len = 0;
    }
    if (columns && fv_visit(s->v.value, gathers, NULL)) {
        vectors = (x->e[0].extent + lanes - 1) / lanes;
        spare = vectors < 4 ? row_block(x->l, vectors) : 4;
        fv_buf_printf(&nest, "%s~,%s/%lld!,%s", fv_cstr(c, p->value[0]), query,
                      (long long)(spare > 8      ? 8
                                  : spare > tile ? tile
                                                 : spare),
                      key);
        fv_schedule_set_names(c, p->k.schedule, FV_F_NEST, fv_cstr(c, p->pv), nest.text);
    }
    fv_buf_dispose(&nest);
}
static void nests(attend_program *p, int64_t tile) {
    /* Products in registers: queries are lanes of the scores, value columns those of the sums. */
    attend *x = p->x;
    lower *l = x->l;
    fv_ctx *c = l->ctx;
    fv_buf lane = {0};
    fv_buf_puts(&lane, fv_cstr(c, p->n_tile     ? p->tile[p->n_tile - 1]
                                  : p->n_key[0] ? p->key[0][p->n_key[0] - 1]
                                  : x->n_e      ? p->value[x->n_e - 1]
                                                : (fv_str){0}));
    bool columns = x->n_e == 1 && x->e[0].extent >= l->t->lanes / 2 && !p->pair_sums;
    if (columns) fv_schedule_set_names(c, p->k.schedule, FV_F_LANE, "acc", fv_cstr(c, p->value[0]));
    if (x->n_e) fv_buf_printf(&lane, ",%s", fv_cstr(c, p->value[x->n_e - 1]));
    fv_schedule_set_names(c, p->k.schedule, FV_F_LANE, "", lane.text);
    fv_buf_dispose(&lane);
    if (x->n_sets == 1 && p->n_tile && p->n_key[0] == 1) gathered_nests(p, tile, columns);
}

/* Every query axis is read by a key index: tiles of queries against the hull of their keys, pairs outside a query's own
 * window masked. Right on matrix units; on vector units most of its products are masked away. */
static const char *hull_box(attend *x) {
    lower *l = x->l;
    fv_ctx *c = l->ctx;
    attend_hull hull[4];
    int n = 0;
    double scores = 1;
    const char *why = "no query axis is enumerated";
    for (int i = x->n_q - 1, rows = 8; i >= 0; i--) {
        if (!lower_attend_enumerates(x, &x->q[i]) || lower_attend_batch(x, &x->q[i])) continue;
        if (n == 4) return "more than four enumerated query axes";
        if (!attend_hull_find(x, &x->q[i], rows, &hull[n], &why)) return why;
        scores *= (double)hull[n].rows * (double)hull[n].keys;
        n++;
        rows = n == 1 ? 4 : 2;
    }
    if (!n) return why;
    if (scores > 1 << 18)
        return fv_printf(c, "a tile of queries against its hull has %.0f scores, more than %d", scores, 1 << 18);
    attend_program p = {.x = x, .key_first = !l->t->unit};
    lower_place_value(l, x->final->result[0], NULL);
    lower_kernel_begin(l, &p.k, "attend", "attend.box", x->anchor->loc, l->node[x->final->id].prepare);
    lower_kernel_own(&p.k);
    for (int i = 0; i < x->n_q; i++) {
        bool in_hull = false;
        for (int j = 0; j < n; j++) in_hull |= fv_str_eq(hull[j].query.name, x->q[i].name);
        if (!in_hull) lower_grid(&p.k, x->q[i].name, 0, x->q[i].extent);
    }
    for (int j = n - 1; j >= 0; j--) attend_hull_declare(&p, &hull[j]);
    const fv_attend_set *s = x->set[0].set;
    for (int i = 0; i < s->n_over; i++) {
        fv_str name = s->over[i].name;
        bool in_hull = false;
        for (int j = 0; j < n; j++)
            if (fv_str_eq(hull[j].tap.name, name)) {
                name = hull[j].y;
                in_hull = true;
            }
        if (!in_hull) lower_axis(&p.k, name, s->over[i].extent);
        p.key[0][p.n_key[0]++] = name;
    }
    attend_query(&p, &p.k.body);
    fv_str acc_axis[FV_MAX_AXES];
    int n_acc = 0;
    for (int i = 0; i < p.n_tile; i++) acc_axis[n_acc++] = p.tile[i];
    for (int i = 0; i < x->n_e; i++) acc_axis[n_acc++] = p.value[i];
    p.acc = lower_buffer(&p.k, "acc", FV_F32, acc_axis, n_acc);
    attend_scores(&p, &p.k.body, 0);
    attend_resident(&p, &p.k.body);
    attend_sum(&p, &p.k.body, 0, true, NULL);
    attend_store(&p, &p.k.body);
    nests(&p, 0);
    p.k.flops = x->flops;
    lower_kernel_end(&p.k);
    return NULL;
}

/* One softmax over all keys, or a running one, where the wish says which. */
static const char *wished_softmax(attend_program *p, bool simple, int64_t keys, bool *resident) {
    fv_ctx *c = p->k.l->ctx;
    const fv_sched_entry *e = lower_wish_entry(&p->k, FV_F_SOFTMAX, (fv_str){0});
    if (!e || e->n != 1) return NULL;
    *resident = strcmp(fv_cstr(c, e->item[0].name), "online") != 0;
    if (!*resident && (!simple || keys < 2))
        return "softmax=online: a running softmax takes one set of keys, one score, and no weight of its own";
    if (*resident && keys > MOST_RESIDENT)
        return fv_printf(c, "softmax=resident: the scores of %lld keys, more than %d", (long long)keys, MOST_RESIDENT);
    return NULL;
}
/* Queries of a tile. Pairs are copied once per tile, so tiles are larger, and of equal numbers of vectors. */
static int64_t query_tile(const lower *l, int64_t n, int64_t most) {
    int64_t lanes = l->t->lanes, vectors = (n + lanes - 1) / lanes, tiles = (vectors + PAIR_VECTORS - 1) / PAIR_VECTORS;
    if (lower_takes_pairs(l)) most = (vectors + tiles - 1) / tiles * lanes;
    return n < most ? n : most;
}
const char *lower_attend_box(attend *x) {
    lower *l = x->l;
    fv_ctx *c = l->ctx;
    fv_axis tile[FV_MAX_AXES], point[FV_MAX_AXES];
    int n_tile = 0, n_point = 0;
    for (int i = 0; i < x->n_q; i++) {
        bool batch = lower_attend_enumerates(x, &x->q[i]);
        if (batch || x->q[i].extent == 1) point[n_point++] = x->q[i];
        else tile[n_tile++] = x->q[i];
    }
    bool enumerated = false;
    for (int i = 0; i < n_point; i++) enumerated |= point[i].extent > 1 && !lower_attend_batch(x, &point[i]);
    if (enumerated && extent_of(tile, n_tile) < 4)
        return lower_attend_asked(l) ? hull_box(x)
                                     : "every query axis is read by a key index: a tile of queries shares only the "
                                       "hull of its keys, most of whose products would be masked";
    tile_size size = {4 * l->t->lanes, KEY_BLOCK};
    bool resident = true;
    int64_t most = 0, all = 0;
    for (int i = 0; i < x->n_sets; i++) {
        int64_t keys = 1;
        for (int j = 0; j < x->set[i].set->n_over; j++) keys *= x->set[i].set->over[j].extent;
        if (keys > RESIDENT_KEYS) resident = false;
        if (keys > most) most = keys;
        all += keys;
    }
    bool simple =
        x->n_sets == 1 && x->set[0].n_scores == 1 && !x->set[0].weight && x->a->n_steps == 1 && !x->a->step[0].ratio;
    if (l->t->unit) {
        size = unit_tile(x, all, !simple);
        resident = !size.keys;
    }
    if (!resident && !simple)
        resident = true; /* everything that one online pass cannot do: all scores of a tile in scratch */

    attend_program p = {.x = x, .key_first = !l->t->unit};
    const fv_value *out = x->final->result[0];
    lower_place_value(l, out, NULL);
    lower_kernel_begin(l, &p.k, "attend", "attend.box", x->anchor->loc, l->node[x->final->id].prepare);
    lower_kernel_own(&p.k);
    const char *unfit = wished_softmax(&p, simple, most, &resident);
    if (unfit) return unfit;
    lower_attend_tables(x, tile, n_tile);
    for (int i = 0; i < n_point; i++) lower_grid(&p.k, point[i].name, 0, point[i].extent);
    p.query = lower_fuse(&p.k, tile, n_tile);
    if (n_tile == 1) p.query = (lower_fused){.axis = tile[0].name, .extent = tile[0].extent};
    int64_t rows = query_tile(l, p.query.extent, size.rows);
    if (n_tile) { /* else one query per point: lanes run over the keys */
        rows = lower_tile(&p.k, p.query.axis, rows, p.query.extent);
        lower_grid(&p.k, p.query.axis, rows, p.query.extent);
        p.tile[p.n_tile++] = p.query.axis;
    }
    for (int i = 0; i < x->n_sets; i++) {
        const fv_attend_set *s = x->set[i].set;
        p.keys[i] = lower_fuse(&p.k, s->over, s->n_over);
        if (s->n_over == 1) p.keys[i] = (lower_fused){.axis = s->over[0].name, .extent = s->over[0].extent};
        if (!s->n_over) continue;
        p.key[i][0] = p.keys[i].axis;
        for (int j = 0; j < i; j++)
            if (p.n_key[j] && fv_str_eq(p.key[j][0], p.key[i][0])) { /* two sets may use one name */
                fv_str fresh = fv_internf(c, "%s.%d", fv_cstr(c, p.key[i][0]), i);
                p.keys[i] = (lower_fused){.axis = fresh, .extent = p.keys[i].extent, .n = s->n_over};
                int64_t minor = 1;
                for (int q = s->n_over - 1; q >= 0; q--) {
                    const fv_expr *e = fv_op2(c, FV_X_FLOORDIV, fv_axis_ref(c, fresh), fv_int(c, minor));
                    p.keys[i].bind[q] = (fv_binding){fv_axis_ref(c, s->over[q].name),
                                                     q ? fv_op2(c, FV_X_MOD, e, fv_int(c, s->over[q].extent)) : e};
                    minor *= s->over[q].extent;
                }
                p.key[i][0] = fresh;
            }
        p.n_key[i] = 1;
        fv_facts_add(c, &p.k.facts, fv_axis_ref(c, p.key[i][0]), 0, p.keys[i].extent - 1);
        if (resident) lower_axis(&p.k, p.key[i][0], p.keys[i].extent);
    }
    attend_pairs_choose(&p, rows);
    attend_query(&p, &p.k.body);
    fv_str acc_axis[FV_MAX_AXES];
    int n_acc = 0;
    if (p.n_tile && !p.pair_sums) acc_axis[n_acc++] = p.tile[0];
    for (int i = 0; i < x->n_e; i++) acc_axis[n_acc++] = p.value[i];
    if (p.pair_sums) acc_axis[n_acc++] = p.tile[0];
    p.acc = lower_buffer(&p.k, "acc", FV_F32, acc_axis, n_acc);
    if (resident) {
        for (int i = 0; i < x->n_sets; i++) attend_scores(&p, &p.k.body, i);
        attend_resident(&p, &p.k.body);
        bool first = true;
        for (int i = 0; i < x->n_sets; i++) {
            attend_sum(&p, &p.k.body, i, first, NULL);
            first = false;
        }
    } else {
        p.m = lower_buffer(&p.k, "m", FV_F32, p.tile, p.n_tile);
        p.l = lower_buffer(&p.k, "l", FV_F32, p.tile, p.n_tile);
        const struct {
            fv_buffer *b;
            double v;
        } init[] = {{p.m, -INFINITY}, {p.l, 0}, {p.acc, 0}};
        for (int i = 0; i < 3; i++) {
            fv_stmt *s = lower_stmt(&p.k, &p.k.body, FV_S_ALLOC, NULL);
            s->buffer = init[i].b;
            s->expr = fv_float(c, init[i].v);
        }
        int64_t block = lower_tile(&p.k, p.key[0][0], size.keys ? size.keys : KEY_BLOCK, p.keys[0].extent);
        lower_inner_axis(&p.k, p.key[0][0], block, p.keys[0].extent);
        online_loop(&p, &p.k.body);
    }
    attend_store(&p, &p.k.body);
    nests(&p, rows);
    p.k.flops = x->flops;
    lower_kernel_end(&p.k);
    return NULL;
}
