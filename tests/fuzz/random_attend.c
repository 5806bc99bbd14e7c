/* Random attends, included by random_graph.c: sets with shared, private or windowed keys, predicates, scores, weights,
 * sinks, all steps. */

typedef struct {
    fv_axis q[FV_MAX_AXES], d, e;
    int nq;
    bool plain;
} attend_plan;

/* A tensor over the key axes, the dot or value axis and some of the query's; now and then an element is absent. */
static fv_value *key_side(maker *m, const attend_plan *p, const fv_axis *over, int n_over, const fv_axis *last) {
    fv_axis x[FV_MAX_AXES];
    int n = 0;
    for (int i = 0; i < p->nq; i++)
        if (chance(m, 40)) x[n++] = p->q[i];
    for (int i = 0; i < n_over; i++) x[n++] = over[i];
    x[n++] = *last;
    fv_value *v = chance(m, 50) ? leaf_over(m, x, n, FV_F32) : conform(m, any(m), x, n);
    if (!v || !n_over || !chance(m, 25)) return v;
    read_of r = identity(m, v); /* shift along a key axis: some keys are gone */
    int i = fv_axis_find(x, n, over[0].name);
    r.index[i] = fv_addi(m->ctx, coord(m, &over[0]), below(m, 3) - 1);
    r.border = chance(m, 70) ? FV_BORDER_CUT : FV_BORDER_CLAMP;
    return fv_graph_read(m->g, at(m), v, r.axis, r.n, r.index, r.border, 0, NULL);
}
/* Keys around each query along one or two of its axes: one form of index for a set, in one of the ways that authors
 * write it. */
typedef struct {
    int n, style, border, shift;
    fv_axis x[2];
} around;
static around choose_around(maker *m, const attend_plan *p, fv_attend_set *s) {
    around w = {.style = below(m, 5), .border = below(m, 4), .shift = below(m, 3)};
    int from = below(m, p->nq), most = p->nq > 1 && chance(m, 50) ? 2 : 1;
    for (; w.n < most; w.n++) {
        w.x[w.n] = p->q[(from + w.n) % p->nq];
        int64_t n = w.x[w.n].extent, taps = 1 + below(m, 4);
        s->over[w.n] = fresh_axis(m, "u", taps < n ? taps : n);
    }
    s->n_over = w.n;
    return w;
}
static fv_value *key_around(maker *m, const attend_plan *p, const around *w, const fv_attend_set *s,
                            const fv_axis *last) {
    static const fv_border borders[] = {FV_BORDER_CUT, FV_BORDER_NUMBER, FV_BORDER_CLAMP, FV_BORDER_WRAP};
    fv_axis of[FV_MAX_AXES];
    read_of r = {.n = 0};
    int n = 0;
    for (int i = 0; i < p->nq; i++) {
        const fv_axis *x = &p->q[i];
        int j = fv_axis_find(w->x, w->n, x->name);
        if (j < 0 && chance(m, 60)) continue;
        const fv_expr *h = coord(m, x), *u = j < 0 ? NULL : coord(m, &s->over[j]);
        of[n] = *x;
        r.axis[r.n++] = *x;
        if (j >= 0) {
            int64_t e = x->extent, t = s->over[j].extent;
            const fv_expr *low = fv_op2(m->ctx, FV_X_MAX, fv_addi(m->ctx, h, -(t / 2)), fv_int(m->ctx, 0));
            const fv_expr *half = fv_op2(m->ctx, FV_X_FLOORDIV, h, fv_int(m->ctx, 2)),
                          *rest = fv_op2(m->ctx, FV_X_MOD, h, fv_int(m->ctx, 2));
            switch (w->style) {
            case 0: h = fv_add(m->ctx, fv_op2(m->ctx, FV_X_MIN, low, fv_int(m->ctx, e - t)), u); break;
            case 1: h = fv_addi(m->ctx, fv_add(m->ctx, h, u), -w->shift); break;
            case 2: h = fv_addi(m->ctx, fv_add(m->ctx, half, u), -w->shift); break;
            case 3: h = fv_add(m->ctx, fv_muli(m->ctx, fv_add(m->ctx, fv_addi(m->ctx, half, -1), u), 2), rest); break;
            default: h = fv_addi(m->ctx, fv_sub(m->ctx, h, fv_muli(m->ctx, u, 2)), w->shift); break;
            }
            if (w->style) r.border = borders[w->border];
        }
        r.index[n++] = h;
    }
    for (int j = 0; j < w->n; j++) r.axis[r.n++] = s->over[j];
    r.axis[r.n++] = of[n] = *last;
    r.index[n++] = coord(m, last);
    fv_value *src = leaf_over(m, of, n, FV_F32);
    return src ? fv_graph_read(m->g, at(m), src, r.axis, r.n, r.index, r.border, 0, NULL) : NULL;
}
static fv_value *score_of(maker *m, const attend_plan *p, const fv_axis *pair, int n, const fv_value *raw, int n_over) {
    const fv_expr *e = fv_mul(m->ctx, fv_value_at_self(m->ctx, raw), fv_float(m->ctx, 0.5));
    if (chance(m, 40)) { /* a table over part of the pair's axes */
        fv_axis x[2] = {pair[below(m, n)]};
        fv_value *bias = leaf_over(m, x, 1, FV_F32);
        if (!bias) return NULL;
        e = fv_add(m->ctx, e, fv_value_at_self(m->ctx, bias));
    }
    if (chance(m, 25)) e = fv_mul(m->ctx, calm(m, e), fv_float(m->ctx, 2));
    if (n_over && p->nq && chance(m, 25)) { /* -100, or nothing at all, beyond the diagonal */
        const fv_expr *c = fv_op2(m->ctx, FV_X_LT, coord(m, &pair[p->nq]), coord(m, &pair[0]));
        bool nothing = chance(m, 50);
        m->steep = true;
        const fv_expr *beyond =
            nothing ? fv_float(m->ctx, -(double)INFINITY) : fv_sub(m->ctx, e, fv_float(m->ctx, 100));
        e = fv_op3(m->ctx, FV_X_WHERE, c, e, beyond);
    }
    const fv_expr *only =
        n_over && p->nq && chance(m, 8) ? fv_op2(m->ctx, FV_X_NE, coord(m, &pair[p->nq]), coord(m, &pair[0])) : NULL;
    return fv_graph_compute(m->g, at(m), FV_MONOID_NONE, pair, n, NULL, 0, e, only, NULL);
}
static bool make_set(maker *m, const attend_plan *p, fv_attend_set *s, int n_scores) {
    fv_axis pair[FV_MAX_AXES];
    int n = p->nq;
    memcpy(pair, p->q, sizeof(fv_axis) * (size_t)p->nq);
    s->n_over = chance(m, 15) ? 0 : 1 + below(m, 2);
    bool local = s->n_over && p->nq && chance(m, 35);
    around keys = {0};
    if (local) {
        keys = choose_around(m, p, s);
        for (int i = 0; i < s->n_over; i++) pair[n++] = s->over[i];
    } else
        for (int i = 0; i < s->n_over; i++)
            pair[n++] = s->over[i] = fresh_axis(
                m, "m",
                m->blocks && i == 0 ? 8 + below(m, 40)
                                    : 1 + below(m, m->wide && i == 0 && points(p->q, p->nq) < 1500 ? 40 : 6));
    s->k = local ? key_around(m, p, &keys, s, &p->d) : key_side(m, p, s->over, s->n_over, &p->d);
    s->v = local && chance(m, 90) ? key_around(m, p, &keys, s, &p->e) : key_side(m, p, s->over, s->n_over, &p->e);
    s->raw = fv_graph_placeholder(m->g, at(m), "raw", FV_F32, pair, n, false);
    if (!s->k || !s->v || !s->raw) return false;
    if (!n) return false;
    if (s->n_over && p->nq && chance(m, 35)) {
        const fv_expr *c = fv_op2(m->ctx, FV_X_LE, coord(m, &pair[p->nq]), coord(m, &pair[below(m, p->nq)]));
        s->only = fv_graph_compute(m->g, at(m), FV_MONOID_NONE, pair, n, NULL, 0, c, NULL, NULL);
        if (!s->only) return false;
    }
    s->n_scores = n_scores;
    s->score = FV_NEWN(m->ctx, fv_value *, n_scores);
    for (int j = 0; j < n_scores; j++)
        if (!(s->score[j] = score_of(m, p, pair, n, s->raw, s->n_over))) return false;
    if (n_scores == 1 && !chance(m, 25)) return true;
    const fv_expr *w = fv_float(m->ctx, chance(m, 50) ? 0.125 : 0);
    s->p = FV_NEWN(m->ctx, fv_value *, n_scores);
    for (int j = 0; j < n_scores; j++) {
        if (!(s->p[j] = fv_graph_placeholder(m->g, at(m), "p", FV_F32, pair, n, false))) return false;
        w = fv_add(m->ctx, w, fv_mul(m->ctx, fv_value_at_self(m->ctx, s->p[j]), fv_float(m->ctx, 0.75 - 0.5 * j)));
    }
    return (s->weight = fv_graph_compute(m->g, at(m), FV_MONOID_NONE, pair, n, NULL, 0, w, NULL, NULL)) != NULL;
}
static bool make_sink(maker *m, const attend_plan *p, fv_attend_set *s, int n_scores) {
    s->s = leaf_over(m, p->q, chance(m, 50) ? 1 : 0, FV_F32);
    s->n_scores = n_scores;
    s->score = FV_NEWN(m->ctx, fv_value *, n_scores);
    for (int j = 0; j < n_scores; j++) s->score[j] = s->s;
    s->v_number = chance(m, 60) ? 0 : 0.5;
    return s->s != NULL;
}
static void make_steps(maker *m, const attend_plan *p, fv_attend_node *a) {
    a->step = FV_NEWN(m->ctx, fv_attend_step, 2);
    bool steep = m->steep; /* then only a softmax gives numbers of ordinary size */
    m->steep = false;
    if (!steep && chance(m, 10)) return;
    a->n_steps = 1;
    if (steep) {
        a->lse = chance(m, 30);
        return;
    }
    if (chance(m, 15)) {
        a->step[0] = (fv_attend_step){.ratio = true, .has_floor = chance(m, 50), .floor = 1};
        a->step[0].eps = a->step[0].has_floor ? 0 : m->wide ? 5000 : 200; /* no sum of scores comes near -eps */
    } else if (a->n_sets == 1 && chance(m, 15)) {
        a->step[0].n_axes = 1;
        a->step[0].axis[0] = p->q[0].name;
        a->step[a->n_steps++] = (fv_attend_step){.ratio = true, .eps = 0.5};
    }
    a->lse = a->n_steps == 1 && !a->step[0].ratio && chance(m, 30);
}
static fv_value *make_attend(maker *m) {
    attend_plan p = {.d = fresh_axis(m, "d", m->blocks ? 8 + below(m, 25) : 1 + below(m, m->wide ? 24 : 5)),
                     .e = fresh_axis(m, "e", m->blocks ? 8 + below(m, 25) : 1 + below(m, m->wide ? 24 : 5))};
    do p.nq = some_axes(m, p.q, 3);
    while (!p.nq);
    if (m->blocks && fv_axis_find(p.q, p.nq, m->base[0].name) < 0) p.q[p.nq - 1] = m->base[0];
    fv_axis x[FV_MAX_AXES];
    memcpy(x, p.q, sizeof(fv_axis) * (size_t)p.nq);
    x[p.nq] = p.d;
    fv_attend_set sets[3] = {{0}};
    fv_attend_node a = {.n_dot = 1, .dot = {p.d}, .set = sets};
    int n_scores = chance(m, 15) ? 2 : 1, n = 1 + (chance(m, 40) ? 1 : 0);
    a.q = leaf_over(m, x, p.nq + 1, FV_F32);
    if (!a.q) return NULL;
    for (; a.n_sets < n; a.n_sets++)
        if (!make_set(m, &p, &sets[a.n_sets], n_scores)) return NULL;
    if (n_scores == 1 && chance(m, 25) && !make_sink(m, &p, &sets[a.n_sets++], n_scores)) return NULL;
    make_steps(m, &p, &a);
    fv_value *lse = NULL, *out = fv_graph_attend(m->g, at(m), &a, &lse);
    if (out && lse && n_scores == 1) { /* -inf where a row has no key: kept out of what follows */
        const fv_expr *e = fv_op2(m->ctx, FV_X_MAX, fv_value_at_self(m->ctx, lse), fv_float(m->ctx, -50));
        keep(m,
             fv_graph_compute(m->g, at(m), FV_MONOID_NONE, lse->axis, lse->obj.rank, NULL, 0, calm(m, e), NULL, NULL));
    }
    return keep(m, out);
}
