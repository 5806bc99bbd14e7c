/* One configuration of a matrix unit for all programs: where every product of a kernel is configured alike, that stands
 * before the loop over programs. */
#include "kernel/flatten.h"

static bool same(const fv_flat *a, const fv_flat *b) {
    return a->expr == b->expr && a->reg[0] == b->reg[0] && a->reg[1] == b->reg[1];
}
static bool alike(const fv_flat *s, const fv_flat **config) {
    for (; s; s = s->next) {
        if (s->kind == FV_L_FRAG && s->frag == FV_FRAG_CONFIG) {
            if (!fv_is_int(s->expr, NULL) || (*config && !same(*config, s))) return false;
            *config = s;
        }
        if (!alike(s->body, config) || !alike(s->orelse, config)) return false;
    }
    return true;
}
static fv_flat *without(fv_flat *s) {
    fv_flat *first = NULL, **at = &first;
    for (; s; s = s->next) {
        s->body = without(s->body);
        s->orelse = without(s->orelse);
        if (s->kind == FV_L_FRAG && (s->frag == FV_FRAG_CONFIG || s->frag == FV_FRAG_END)) continue;
        *at = s;
        at = &s->next;
    }
    *at = NULL;
    return first;
}
void fl_share_config(fl *f) {
    const fv_flat *config = NULL;
    fv_flat **at = &f->out->body;
    while (*at && !((*at)->kind == FV_L_FOR && (*at)->loop == FV_LOOP_PROGRAMS)) at = &(*at)->next;
    if (!*at || !alike((*at)->body, &config) || !config) return;
    fv_flat *loop = *at, *begin = FV_NEW(f->ctx, fv_flat), *end = fv_flat_new(f->ctx, FV_L_FRAG);
    *begin = *config;
    end->frag = FV_FRAG_END;
    end->label = config->label;
    loop->body = without(loop->body);
    end->next = loop->next;
    loop->next = end;
    begin->next = loop;
    *at = begin;
}
