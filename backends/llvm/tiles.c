/* tiles: ldtilecfg, tilezero, tileloadd, tdpbf16ps, tilestored, tilerelease. Even and odd products of a row are summed
 * apart and then added; denormals count as 0, as in the unit. */
#include "backends/llvm/tiles.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TILES = 8, ROWS = 16, ROW_BYTES = 64 };
static _Thread_local struct {
    bool configured;
    int rows[TILES], bytes[TILES];
    uint8_t data[TILES][ROWS][ROW_BYTES];
} unit;

static void fault(const char *what) {
    fprintf(stderr, "tiles: %s\n", what);
    abort();
}
static int tile(int64_t t) {
    if (!unit.configured) fault("used before a configuration");
    if (t < 0 || t >= TILES || !unit.rows[t] || !unit.bytes[t]) fault("a register that is not configured");
    return (int)t;
}

void fv_tiles_config(const uint8_t *table) {
    memset(&unit, 0, sizeof unit);
    if (table[0] != 1) fault("a palette other than 1");
    for (int i = 0; i < TILES; i++) {
        unit.rows[i] = table[48 + i];
        unit.bytes[i] = table[16 + 2 * i] | table[17 + 2 * i] << 8;
        if (unit.rows[i] > ROWS || unit.bytes[i] > ROW_BYTES) fault("more than 16 rows or 64 bytes");
    }
    unit.configured = true;
}
void fv_tiles_zero(int64_t t) {
    int i = tile(t);
    memset(unit.data[i], 0, sizeof unit.data[i]);
}
void fv_tiles_load(int64_t t, const void *at, int64_t stride) {
    int i = tile(t);
    memset(unit.data[i], 0, sizeof unit.data[i]);
    for (int r = 0; r < unit.rows[i]; r++)
        memcpy(unit.data[i][r], (const uint8_t *)at + r * stride, (size_t)unit.bytes[i]);
}
void fv_tiles_store(int64_t t, void *at, int64_t stride) {
    int i = tile(t);
    for (int r = 0; r < unit.rows[i]; r++) memcpy((uint8_t *)at + r * stride, unit.data[i][r], (size_t)unit.bytes[i]);
}
static float flushed(float x) { return fabsf(x) < 0x1p-126F ? 0 : x; }
static float element(const uint8_t *row, int i) {
    uint32_t bits = (uint32_t)(row[2 * i] | row[2 * i + 1] << 8) << 16;
    float x;
    memcpy(&x, &bits, sizeof x);
    return flushed(x);
}
void fv_tiles_dot(int64_t ct, int64_t at, int64_t bt) {
    int c = tile(ct), a = tile(at), b = tile(bt);
    if (unit.rows[c] != unit.rows[a] || unit.bytes[a] != 4 * unit.rows[b] || unit.bytes[c] != unit.bytes[b])
        fault("operands of a product that do not fit");
    for (int m = 0; m < unit.rows[c]; m++)
        for (int n = 0; n < unit.bytes[c] / 4; n++) {
            float sum[2] = {0, 0}, was;
            for (int k = 0; k < unit.rows[b]; k++)
                for (int p = 0; p < 2; p++)
                    sum[p] = fmaf(element(unit.data[a][m], 2 * k + p), element(unit.data[b][k], 2 * n + p), sum[p]);
            memcpy(&was, &unit.data[c][m][4 * n], sizeof was);
            was = flushed(was + (sum[0] + sum[1]));
            memcpy(&unit.data[c][m][4 * n], &was, sizeof was);
        }
}
void fv_tiles_release(void) { memset(&unit, 0, sizeof unit); }
