/* The two stages of a program, and when its arrays hold something. Plain C11. */
#ifndef FOVEA_STAGES_H
#define FOVEA_STAGES_H
#include "fovea.h"

typedef enum { FOVEA_STAGE_PREPARE, FOVEA_STAGE_RUN, FOVEA_STAGES } fovea_stage;

const fovea_launch *fovea_stage_launches(const fovea_program *p, fovea_stage stage, int32_t *n);

/* The launches of a stage between which an array holds something; first is -1 for an array that the stage does not
 * use. */
typedef struct {
    int32_t first, last;
} fovea_span;
/* From the first to the last launch that names the array: spans[a] for every array of the program. */
void fovea_stage_spans(const fovea_program *p, fovea_stage stage, fovea_span *spans);
/* Is there a launch at which both hold something? */
bool fovea_spans_meet(fovea_span s, fovea_span t);
#endif
