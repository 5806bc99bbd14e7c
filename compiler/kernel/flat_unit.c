/* flat_unit: matrix units of sub-groups: how many items share a product, and which elements of it each of them has. A
 * unit's prelude (backends/opencl/preludes) says the same of FOV_ROW and FOV_COL. */
#include "kernel/flat.h"

#include <string.h>

const fv_unit fv_units[] = {
    {"emu", 4, 64, 64, 1, 4, 16, 4, 1, 1, 0, 16, 64, 0}, /* four rows an item */
    {"nv", 32, 8, 64, 4, 1, 2, 2, 8, 4, 2, 2, 4, 8},     /* two halves of columns, each of pairs in rows r and r + 8 */
    {"cdna", 64, 4, 64, 16, 4, 1, 4, 1, 16, 1, 1, 4, 0}, /* four rows of one column */
    {"rdna", 32, 8, 32, 16, 1, 1, 8, 2, 16, 1, 1, 8, 0}, /* every other row of one column */
    {"intel", 16, 16, 64, 16, 0, 1, 16, 1, 16, 1, 1, 16, 0}, /* one column */
    {0},
};
const fv_unit *fv_unit_find(const char *name) {
    for (const fv_unit *u = fv_units; u->name; u++)
        if (!strcmp(u->name, name)) return u;
    return NULL;
}
