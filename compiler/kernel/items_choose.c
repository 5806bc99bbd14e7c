/* items_choose: which axes are distributed over items, and how many items a group has. A schedule may say `item=q,d` (a
 * priority list), `fuse.item=i,j` (axes read as one, tried before the list) and `group=64`; otherwise lists of up to
 * two ways are compared by a count of the work of the busiest item. Invariant: what is chosen fits the target's limits,
 * or an error says which limit was passed and by how much. */
#include "kernel/items.h"

#include <string.h>

/* What every OpenCL device has: 32 KiB of local memory. Beyond 160 private words compilers spill. */
const fv_target fv_target_opencl = { .name = "opencl", .lanes = 1, .items = true, .registers = 160, .l1_bytes = 32 << 10,
        .l2_bytes = 1 << 20 };

/* -- Cost -------------------------------------------------------------------------------------- */
/* What one read costs beside an arithmetic operation: private 0.2, local 1, far 2; a tensor 1 where all items read one
 * element, 1.5 where neighbours read neighbours, else 3. */
typedef struct { const it *f; int way; double cost; } reads;

static bool read_cost(const fv_expr *e, void *user) {
    reads *r = user;
    if (e->op != FV_X_READ) return false;
    if (e->ref->kind == FV_OBJ_BUFFER) {
        const it_buffer *b = it_find_buffer(r->f, e->ref);
        r->cost += b && b->mark != IT_SHARED ? 0.2 : b && b->far ? 2 : 1;
        return false;
    }
    if (r->way < 0 || !e->ref->rank) {
        r->cost += 1.5;
        return false;
    }
    const it_way *w = &r->f->way[r->way];
    bool uniform = true;
    for (int i = 0; i < w->n; i++) uniform &= !fv_uses_axis(e, w->axis[i]);
    r->cost += uniform ? 1 : fv_uses_axis(e->arg[e->ref->rank - 1], w->axis[w->n - 1]) ? 1.5 : 3;
    return false;
}
enum { SYNC = 20 };                                         /* a barrier, in operations */

static double stmt_cost(const it *f, const fv_stmt *s) {
    fv_str axes[FV_MAX_AXES], all[FV_MAX_AXES];
    if (it_product_of(f, s)) return SYNC;                   /* the same for every distribution */
    int n = it_stmt_axes(s, axes), w = it_way_of(f, axes, n), n_all = fv_stmt_free(s, all);
    double group = (double)f->group, points = (double)it_points(f, all, n_all),
        over = (double)it_points(f, s->over, s->n_over), steps = 1;
    reads r = { f, w, 1 };
    fv_visit(s->expr, read_cost, &r);
    const it_buffer *b = s->kind == FV_S_STORE ? NULL : it_find_buffer(f, s->target);
    double write = s->kind == FV_S_STORE ? 1.5 : b && b->mark != IT_SHARED ? 0.2 : b && b->far ? 2 : 1;
    if (s->kind == FV_S_SCAN) over = 1;
    if (it_is_tree(f, s)) {
        for (double g = group; g > 1; g /= 2) steps += SYNC;
        return points * (r.cost * (double)(int64_t)((over + group - 1) / group) + steps);
    }
    double spread = w >= 0 ? (double)it_points(f, f->way[w].axis, f->way[w].n) : (double)it_points(f, axes, n);
    double rounds = (double)(int64_t)((spread + group - 1) / group);
    return rounds * points / spread * (over * r.cost + write) + (b && b->mark == IT_SHARED ? SYNC : 0) + (w < 0 ? 4
            : 0);
}

static double trips(const fv_stmt *s) {
    int64_t lo, hi, tile = s->axis[0].tile ? s->axis[0].tile : 1;
    if (!fv_is_int(s->axis[0].base, &lo) || !fv_is_int(s->axis[0].limit, &hi)) return 4;
    return hi > lo ? (double)((hi - lo + tile - 1) / tile) : 0;
}

static double list_cost(const it *f, const fv_stmt *s) {
    double sum = 0;
    for (; s; s = s->next) {
        if (fv_stmt_is_op(s)) sum += stmt_cost(f, s);
        else if (s->kind == FV_S_FOR) sum += trips(s) * list_cost(f, s->body);
        else if (s->kind == FV_S_IF) sum += 16 + list_cost(f, s->body);
        else sum += list_cost(f, s->body);
    }
    return sum;
}

/* Work of the busiest item, times the warps that a group holds on a device with 32 items a warp. */
static double cost_of(it *f) {
    it_place(f);
    return list_cost(f, f->k->body) * (double)((f->group + 31) / 32);
}

/* -- Candidates -------------------------------------------------------------------------------- */
/* wanted: 0, or the only group size tried */
typedef struct { int n_ways; it_way way[2]; int64_t wanted, group; double cost; bool found; } best;

static void consider(it *f, best *b, const it_way *way, int n) {
    static const int64_t groups[] = { 0, 32, 64, 128, 256 };
    f->n_ways = f->n_fragment_ways + n;
    memcpy(f->way + f->n_fragment_ways, way, sizeof *way * (size_t)n);
    int64_t own = n ? it_points(f, way[0].axis, way[0].n) : 64;
    for (size_t i = 0; i < sizeof groups / sizeof groups[0]; i++) {
        f->group = groups[i] ? groups[i] : own;
        if (b->wanted && i) break;
        if (b->wanted) f->group = b->wanted;
        if (f->group > IT_MAX_GROUP || f->group < 1 || (groups[i] && own < groups[i])) continue;
        double cost = cost_of(f);
        if (!it_fits(f) || (b->found && cost >= b->cost)) continue;
        *b = (best){ .n_ways = n, .wanted = b->wanted, .group = f->group, .cost = cost, .found = true };
        memcpy(b->way, way, sizeof *way * (size_t)n);
    }
}

/* axes that some statement can be distributed over, each once */
static bool collect(fv_stmt *s, void *user) {
    it_way *w = user;
    fv_str axes[FV_MAX_AXES];
    int n = fv_stmt_is_op(s) ? it_stmt_axes(s, axes) : 0;
    for (int i = 0; i < n && w->n < FV_MAX_AXES; i++) {
        int j = 0;
        while (j < w->n && !fv_str_eq(w->axis[j], axes[i])) j++;
        if (j == w->n) w->axis[w->n++] = axes[i];
    }
    return false;
}

static void grid_tiles(const it *f, it_way *w) {
    for (const fv_stmt *s = f->k->body; s; s = s->next)
        for (int i = 0; s->kind == FV_S_GRID && i < s->n_axes; i++)
            if (s->axis[i].tile > 1) w->axis[w->n++] = s->axis[i].name;
}

static bool choose(it *f, int64_t wanted) {
    best b = { .wanted = wanted };
    it_way all = { 0 }, grid = { 0 }, try[2];
    fv_stmts_visit(f->k->body, collect, &all);
    grid_tiles(f, &grid);
    if (grid.n > 1) consider(f, &b, &grid, 1);
    for (int i = 0; i < all.n; i++) {
        try[0] = (it_way){ .n = 1, .axis = { all.axis[i] } };
        consider(f, &b, try, 1);
        for (int j = 0; j < all.n; j++) {
            try[1] = (it_way){ .n = 1, .axis = { all.axis[j] } };
            if (i != j) consider(f, &b, try, 2);
        }
        try[1] = try[0];
        try[0] = grid;
        if (grid.n > 1) consider(f, &b, try, 2);
    }
    consider(f, &b, try, 0);
    f->n_ways = f->n_fragment_ways + (b.found ? b.n_ways : 0);
    f->group = b.found ? b.group : wanted ? wanted : 64;
    memcpy(f->way + f->n_fragment_ways, b.way, sizeof b.way);
    it_place(f);
    return b.found;
}

/* -- From a schedule --------------------------------------------------------------------------- */
static bool take(it *f, const fv_sched_entry *e, it_way *w) {
    for (int i = 0; i < e->n; i++) {
        if (!it_find_axis(f, e->item[i].name)) {
            it_refuse(f, FV_E_SCHEDULE, "item names the axis %s, which the kernel has not",
                      fv_cstr(f->ctx, e->item[i].name));
            return false;
        }
        if (w->n < FV_MAX_AXES) w->axis[w->n++] = e->item[i].name;
    }
    return true;
}

static bool good_group(it *f, int64_t group) {              /* 0: none given */
    if (group >= 0 && group <= IT_MAX_GROUP) return true;
    it_refuse(f, FV_E_SCHEDULE, "group=%lld: a group has 1 to %d items", (long long)group, (int)IT_MAX_GROUP);
    return false;
}

static bool given(it *f, const fv_schedule *s, const fv_sched_entry *list, int64_t group) {     /* 0: its own choice */
    const fv_sched_entry *fuse = fv_schedule_get(s, FV_F_FUSE, fv_intern(f->ctx, "item"));
    it_way names = { 0 };
    it_way *own_ways = f->way + f->n_fragment_ways;
    f->n_ways = f->n_fragment_ways;
    if (fuse) {
        own_ways[0] = (it_way){ 0 };
        if (!take(f, fuse, &own_ways[0])) return false;
        if (own_ways[0].n) f->n_ways++;
    }
    if (list && !take(f, list, &names)) return false;
    for (int i = 0; i < names.n && f->n_ways < IT_MAX_WAYS; i++)
        f->way[f->n_ways++] = (it_way){ .n = 1, .axis = { names.axis[i] } };
    int64_t own = f->n_ways > f->n_fragment_ways ? it_points(f, own_ways[0].axis, own_ways[0].n) : 64;
    f->group = group ? group : fv_schedule_int(s, FV_F_GROUP, (fv_str){ 0 }, 0);
    if (!f->group) f->group = own > IT_MAX_GROUP ? IT_MAX_GROUP : own;
    if (!good_group(f, f->group)) return false;
    it_place(f);
    return true;
}

static void say_limits(it *f) {
    if (f->local_bytes > f->t->l1_bytes)
        it_refuse(f, FV_E_SCHEDULE, "%lld bytes of local memory are needed, the target has %lld",
                  (long long)f->local_bytes, (long long)f->t->l1_bytes);
    else it_refuse(f, FV_E_SCHEDULE, "%lld private words an item are needed, the limit is %d",
                   (long long)f->private_words, f->t->registers);
}

/* Is there a second copy of the operands, for products that take several pieces? */
static bool halves_fit(const it *f) {
    bool several = false;
    int64_t more = 0;
    for (int i = 0; i < f->n_products; i++) several |= f->product[i].chunk < f->product[i].k;
    for (int i = 0; i < 2; i++) more += (2 * it_stage_count(f, i) + 63) / 64 * 64;
    return several && (f->local_bytes + 63) / 64 * 64 + more <= f->t->l1_bytes;
}
/* With products on the matrix unit, as much of the reduced axes in local memory at once as fits. */
static bool choose_with_unit(it *f, const fv_schedule *s, const fv_sched_entry *list, bool said) {
    int64_t group = it_products_find(f, s);
    for (int spill = 0; spill < 2 && f->n_products; spill++)
        for (int64_t chunk = 64; chunk >= FV_UNIT_TILE; chunk /= 2) {
            f->spill = spill;
            it_product_chunk(f, chunk);
            bool made = said ? given(f, s, list, group) : choose(f, group);
            if (f->failed) return false;
            if (made && it_fits(f)) {
                f->halves = halves_fit(f);
                return true;
            }
        }
    if (!f->n_products) return false;
    it_remark(f, NULL, "not on the matrix unit: %lld bytes of local memory and %lld private words an item are needed, "
              "there are %lld and %d", (long long)f->local_bytes, (long long)f->private_words, (long long)f->t->l1_bytes,
              f->t->registers);
    f->n_products = f->n_fragment_ways = f->n_ways = 0;
    return false;
}
static bool given_fits(it *f, const fv_schedule *s, const fv_sched_entry *list) {
    return given(f, s, list, 0) && it_fits(f); }

/* Memory that is far is the last resort: first without. */
bool it_choose(it *f, const fv_schedule *s) {
    const fv_sched_entry *list = s ? fv_schedule_get(s, FV_F_ITEM, (fv_str){ 0 }) : NULL;
    f->group = 64;
    it_place(f);                                            /* makes the axes */
    bool said = list || (s && fv_schedule_get(s, FV_F_FUSE, fv_intern(f->ctx, "item")));
    int64_t wanted = s ? fv_schedule_int(s, FV_F_GROUP, (fv_str){ 0 }, 0) : 0;
    if (choose_with_unit(f, s, list, said)) return true;
    for (int spill = 0; spill < 2 && !f->failed; spill++) {
        f->spill = spill;
        if (said ? given_fits(f, s, list) : good_group(f, wanted) && choose(f, wanted)) return true;
    }
    if (!f->failed) say_limits(f);
    return false;
}
