/* tiles: a matrix unit as functions, to run code for AMX on processors without it. Tests only. Registers are the
 * calling thread's. What the instructions would fault on ends the process with a message. */
#ifndef FV_LLVM_TILES_H
#define FV_LLVM_TILES_H
#include <stdint.h>

void fv_tiles_config(const uint8_t *table); /* 64 bytes, as ldtilecfg reads them */
void fv_tiles_zero(int64_t tile);
void fv_tiles_load(int64_t tile, const void *at, int64_t stride); /* bytes from row to row */
void fv_tiles_dot(int64_t c, int64_t a, int64_t b);               /* tdpbf16ps */
void fv_tiles_store(int64_t tile, void *at, int64_t stride);
void fv_tiles_release(void);
#endif
