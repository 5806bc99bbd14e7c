/* Rows of a tile on a CPU's matrix unit. Fragments have up to 16 rows, and with fewer a product takes a little less
 * time, not in proportion; blocks of two fragments of rows share what is loaded of the columns. So the tile is chosen
 * whose fragments are whole or nearly so. Model and numbers: one processor with AMX, operands in the second cache (16
 * cycles of a whole product; 25 of loading a fragment; 58 % of the time with 7 rows or less, 92 % with 14;
 * 180 of configuring, spread over the steps of a sum). */
#include "lower/internal.h"

enum { BLOCK = 2, PRODUCT = 16, LOAD = 25, CONFIGURE = 8 };

static double product_time(double rows) {
    double part = rows <= 7 ? 0.58 : rows <= 14 ? 0.58 + (rows - 7) * (0.92 - 0.58) / 7 : 0.92 + (rows - 14) * 0.04;
    return PRODUCT * part;
}
/* Of `count` rows of a tile of `rows`, per step of the sum and block of columns: as many fragments as the whole tile
 * has, and another number of rows takes another configuration of the unit. */
static double tile_time(int64_t rows, int64_t count) {
    int64_t n = (rows + FV_FRAG_ROWS - 1) / FV_FRAG_ROWS;
    double each = (double)((count + n - 1) / n), time = count < rows ? CONFIGURE : 0;
    for (int64_t i = 0; i < n; i += BLOCK) {
        double high = (double)(n - i < BLOCK ? n - i : BLOCK);
        double products = high * BLOCK * product_time(each), loads = LOAD * (high * each / FV_FRAG_ROWS + BLOCK);
        time += products > loads ? products : loads;
    }
    return time;
}
int64_t lower_fragment_rows(int64_t extent, int64_t most) {
    if (extent <= most) return extent;
    int64_t best = most;
    double least = 0;
    for (int64_t rows = most; rows >= most / 4; rows--) {
        int64_t tail = extent % rows;
        double time = (double)(extent / rows) * (tile_time(rows, rows) + (tail ? CONFIGURE : 0)) +
                      (tail ? tile_time(rows, tail) : 0);
        if (least == 0 || time < 0.99 * least) least = time, best = rows;
    }
    return best;
}
