/* Programs in the form in which libraries hold them (runtime/tables.h). */
#ifndef FV_IO_TABLES_H
#define FV_IO_TABLES_H
#include "base/base.h"
#include "runtime/program.h"

/* Appends the long form of a program's arrays and launches. kernel: of each launch of prepare and of run, its place in
 * the list of addresses; negative: it has none. Returns the bytes that its numbered texts will take. */
size_t fv_tables_write(const fovea_program *p, const int32_t *const kernel[2], fv_buf *out);
/* Appends the short form of n bytes. */
void fv_tables_shorten(const void *data, size_t n, fv_buf *out);
#endif
