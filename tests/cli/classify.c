/* What test_build.sh and test_levels.sh compile with a library that they built: it classifies eight digits. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "digits.h"
static const char *const names[DIGITS_CLASSES] = DIGITS_CLASS_NAMES, *const levels[DIGITS_LEVELS] = DIGITS_LEVEL_NAMES;
static const float mean[DIGITS_PICTURE_CHANNELS] = DIGITS_PICTURE_MEAN, std[] = DIGITS_PICTURE_STD;
static const int64_t shape[DIGITS_INPUT_0_RANK] = DIGITS_INPUT_0_SHAPE;
static int facts(void) { /* what the header says of pictures and classes is what the model was trained with */
    for (int c = 0; c < 3; c++)
        if (mean[c] < 0.5f || mean[c] > 0.5f || std[c] < 0.25f || std[c] > 0.25f) return 1;
    int known = 0; /* the level of this processor is among those listed */
    for (int i = 0; i < DIGITS_LEVELS; i++) known += digits_level() && !strcmp(levels[i], digits_level());
    int64_t bytes = 4;
    for (int i = 0; i < DIGITS_INPUT_0_RANK; i++) bytes *= shape[i];
    return bytes != DIGITS_INPUT_0_BYTES || DIGITS_PICTURE_HEIGHT != 96 || DIGITS_PICTURE_WIDTH != 96 ||
           DIGITS_PICTURE_CROP < 1 || DIGITS_PICTURE_CROP > 1 || strcmp(DIGITS_PICTURE_FIT, "crop") ||
           strcmp(DIGITS_PICTURE_INTERPOLATION, "bilinear") || strcmp(DIGITS_INPUT_0_NAME, "input") ||
           DIGITS_INPUT_0_TYPE != FOVEA_F32 || DIGITS_OUTPUT_0_BYTES != 4 * DIGITS_CLASSES ||
           DIGITS_INPUT_0_ALIGN != 4 || known != (digits_level() != NULL);
}
int main(int argc, char **argv) { /* inputs and logits, [weights] */
    fovea_error e;
    fovea_model *m = NULL, *other = NULL;
    fovea_safetensors *f = NULL;
    fovea_options o = {.threads = 2};
    o.memory_bytes = DIGITS_OPEN_BYTES(2);
    if (DIGITS_INTERFACE != 7 || digits_workspace_bytes(2) != o.memory_bytes || facts()) return 2;
    o.memory = aligned_alloc(64, (size_t)o.memory_bytes);
    if (digits_open(argc > 2 ? argv[2] : NULL, &o, &m, &e)) return fprintf(stderr, "%d %s\n", e.status, e.text), 1;
    if (digits_safetensors_open(argv[1], &f, &e)) return 2;
    const fovea_stored *x = digits_safetensors_find(f, "input"), *y = digits_safetensors_find(f, "logits");
    if (!x || !y || digits_share(m, NULL, &other, &e)) return 2;
    static float in[DIGITS_INPUT_0_BYTES / 4], out[2][DIGITS_OUTPUT_0_BYTES / 4], want[8 * 10];
    memcpy(want, y->data, sizeof want);
    for (int i = 0; i < 8; i++) {
        const void *ins[] = {in};
        void *outs[] = {out[0]}, *others[] = {out[1]};
        int best = 0;
        memcpy(in, (const char *)x->data + i * sizeof in, sizeof in);
        if (digits_run(m, ins, outs, &e) || digits_run(other, ins, others, &e)) return 2;
        if (memcmp(out[0], out[1], sizeof out[0])) return 3;
        for (int k = 0; k < 10; k++) {
            float d = out[0][k] - want[10 * i + k];
            if (d > 1e-3f || d < -1e-3f) return 4;
            if (out[0][k] > out[0][best]) best = k;
        }
        printf("%s", names[best]);
    }
    printf("\n");
    digits_dispose(other);
    digits_dispose(m);
    digits_safetensors_close(f);
    free(o.memory);
    return 0;
}
