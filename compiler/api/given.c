/* Extents and tensors that a spec is given: see given.h. */
#include "api/given.h"

#include <string.h>

enum { MOST_EXTRA = 16, MOST_AXES = 256 }; /* unused tensors that a message lists; axes that it can name */

static fv_type type_of(fovea_storage s) {
    switch (s) {
    case FOVEA_ST_F8_E5M2:
    case FOVEA_ST_F8_E4M3:
    case FOVEA_ST_F16:
    case FOVEA_ST_BF16:
    case FOVEA_ST_F32:
    case FOVEA_ST_F64: return FV_F32;
    case FOVEA_ST_BOOL: return FV_BOOL;
    case FOVEA_ST_U8:
    case FOVEA_ST_I8:
    case FOVEA_ST_U16:
    case FOVEA_ST_I16:
    case FOVEA_ST_U32:
    case FOVEA_ST_I32:
    case FOVEA_ST_U64:
    case FOVEA_ST_I64:
    case FOVEA_ST_COUNT: break;
    }
    return FV_I32;
}
bool fv_given_shape(const fovea_stored *t, const char *name, fv_shape_info *out) {
    if (!t || t->rank > FV_SPEC_MAX_RANK) return false;
    *out = (fv_shape_info){.name = name, .rank = t->rank, .type = type_of(t->storage)};
    for (int i = 0; i < t->rank; i++) out->shape[i] = t->shape[i];
    return true;
}
int64_t fv_given_extents(const fv_node *leaf, int64_t *shape) {
    const fv_value *v = leaf->result[0];
    int64_t n = 1;
    for (int d = 0; d < leaf->u.leaf.stored.rank; d++) {
        shape[d] = 1;
        for (int j = 0; j < leaf->u.leaf.stored.dim[d].n; j++)
            shape[d] *= v->axis[leaf->u.leaf.stored.dim[d].axis[j]].extent;
        n *= shape[d];
    }
    return n;
}
fv_type fv_given_storage(const char *name) {
    static const char *const names[] = {"f32", "bf16", "f16"};
    static const fv_type types[] = {FV_F32, FV_BF16, FV_F16};
    for (int i = 0; i < 3; i++)
        if (!strcmp(names[i], name)) return types[i];
    return FV_VOID;
}

/* -- Extents ---- */
static bool check_one(fv_ctx *ctx, const fv_graph *g, const char *option, const char *name, int64_t extent) {
    const char *known[MOST_AXES], *list = "";
    const fv_node *other = NULL;
    int n = 0;
    int64_t is = 0;
    for (int i = 0; i < g->n_nodes; i++) {
        const fv_node *leaf = g->node[i];
        if (leaf->op != FV_NODE_INPUT) continue;
        for (int d = 0; d < leaf->result[0]->obj.rank; d++) {
            const fv_axis *axis = &leaf->result[0]->axis[d];
            const char *text = fv_cstr(ctx, axis->name);
            bool new = n < MOST_AXES;
            if (!strcmp(text, name)) {
                if (axis->extent == extent) return true;
                other = leaf;
                is = axis->extent;
            }
            for (int j = 0; j < n; j++) new = new && strcmp(known[j], text) != 0;
            if (!new) continue;
            list = fv_printf(ctx, "%s%s%s", list, n ? ", " : "", text);
            known[n++] = text;
        }
    }
    if (other) {
        fv_error(ctx, FV_E_USAGE, other->loc, "%s%s=%lld: the axis %s of the input '%s' has the extent %lld", option,
                 name, (long long)extent, name, fv_cstr(ctx, other->u.leaf.name), (long long)is);
        return false;
    }
    const char *near = n ? fv_nearest_name(name, known, n) : NULL;
    fv_error(ctx, FV_E_UNKNOWN, (fv_loc){0}, "%s%s=%lld: no input has an axis '%s'; there are %s%s%s", option, name,
             (long long)extent, name, n ? list : "none", near ? "; the nearest is " : "", near ? near : "");
    return false;
}
bool fv_given_axes(fv_ctx *ctx, const fv_graph *g, const fv_spec_options *o, const char *option) {
    bool fine = true;
    for (int i = 0; i < o->n_shapes; i++) fine = check_one(ctx, g, option, o->shape_name[i], o->shape_value[i]) && fine;
    return fine;
}

/* -- Weights ---- */
bool fv_given_weights(fv_ctx *ctx, const fv_weights *w, const fv_graph *g) {
    bool *live = FV_NEWN(ctx, bool, g->n_nodes + 1);
    fv_wanted *wanted = FV_NEWN(ctx, fv_wanted, g->n_nodes + 1);
    int n = 0;
    fv_graph_live(g, live);
    for (int i = 0; i < g->n_nodes; i++) {
        const fv_node *leaf = g->node[i];
        if (leaf->op != FV_NODE_PARAM || !live[i]) continue;
        int64_t *shape = FV_NEWN(ctx, int64_t, FV_MAX_AXES);
        fv_given_extents(leaf, shape);
        wanted[n++] = (fv_wanted){fv_cstr(ctx, leaf->u.leaf.name), leaf->u.leaf.stored.rank, shape, leaf->loc};
    }
    fv_weights_report r;
    if (fv_weights_check(ctx, w, wanted, n, &r)) return true;
    for (int i = 0; i < r.n_extra && i < MOST_EXTRA; i++)
        fv_note(ctx, (fv_loc){0}, "stored and not used: \"%s\"", r.extra[i]);
    if (r.n_extra > MOST_EXTRA) fv_note(ctx, (fv_loc){0}, "… and %d more that are not used", r.n_extra - MOST_EXTRA);
    return false;
}
/* Traced once more without weights, the spec names all that it wants. */
void fv_given_misfits(fv_ctx *ctx, const fv_weights *w, const char *path, const char *text, size_t n,
                      const char *variant, fv_spec_options o) {
    bool about = false;
    for (int i = 0; i < fv_diag_count(ctx); i++) about = about || fv_diag_at(ctx, i)->code == FV_E_PARAM;
    if (!about) return;
    fv_ctx *other = fv_ctx_new();
    fv_spec spec;
    o.param_shape = NULL;
    o.declare = true;
    if (text ? fv_spec_load_text(other, path, text, n, variant, &o, &spec)
             : fv_spec_load(other, path, variant, &o, &spec)) {
        fv_given_weights(other, w, spec.graph);
        for (int i = 0; i < fv_diag_count(other); i++) {
            const fv_diag *d = fv_diag_at(other, i);
            fv_loc loc = {fv_intern(ctx, fv_cstr(other, d->loc.file)), d->loc.line};
            if (d->is_note) fv_note(ctx, loc, "%s", d->text);
            else fv_error(ctx, d->code, loc, "%s", d->text);
        }
    }
    fv_ctx_dispose(other);
}
