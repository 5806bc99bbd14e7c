/* stages: see stages.h. */
#include "stages.h"

const fovea_launch *fovea_stage_launches(const fovea_program *p, fovea_stage stage, int32_t *n) {
    *n = stage == FOVEA_STAGE_PREPARE ? p->n_prepare : p->n_run;
    return stage == FOVEA_STAGE_PREPARE ? p->prepare : p->run;
}
void fovea_stage_spans(const fovea_program *p, fovea_stage stage, fovea_span *spans) {
    int32_t n;
    const fovea_launch *launches = fovea_stage_launches(p, stage, &n);
    for (int32_t a = 0; a < p->n_arrays; a++) spans[a] = (fovea_span){-1, -1};
    for (int32_t i = 0; i < n; i++)
        for (int32_t k = 0; k < launches[i].n_args; k++) {
            fovea_span *s = &spans[launches[i].args[k]];
            if (s->first < 0) s->first = i;
            s->last = i;
        }
}
bool fovea_spans_meet(fovea_span s, fovea_span t) {
    return s.first >= 0 && t.first >= 0 && s.first <= t.last && t.first <= s.last;
}
