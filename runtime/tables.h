/* Programs as they stand in a library: tables of arrays and launches in few bytes, which are read once, before the
 * program is first asked for, into memory that the library has as zeros. Pointers are absent from them, so that the
 * loader has nothing to relocate. Written by compiler/io/tables.h. Plain C11.
 *
 * Short form: sequences of a byte (high half: literals, low half: length of a copy; 15: a number to add follows; low
 * half 0: the end), the literals, and the copy's distance; a copy has 3 bytes more than its half says.
 * Numbers: 7 bits a byte, the low ones first, bit 7: another follows. Signed: 0, -1, 1, -2, ... as 0, 1, 2, 3, ...
 * Text: bytes, 0; where it is said to be numbered, its decimal number follows, signed, less that of the numbered text
 * before.
 * Array: dtype + 16 * place, + 128: the name is numbered; name; rank; extents; signed: offset, less where the array
 * before it in the same place ended; signed: bytes, less those of the extents; bound of indices. Launch: 2 * how many
 * launches before it one of the same kind came, + 1: the label is numbered. 0, a new kind: 1 + number of the kernel;
 * programs; scratch; how many arguments; twice: 2 * a whole number, or 1 and 8 bytes of a double; where; label. Of the
 * same kind: these are the same, but for the label's number. Then each argument, signed, less that of the launch of the
 * same kind. */
#ifndef FOVEA_TABLES_H
#define FOVEA_TABLES_H
#include "program.h"

typedef struct {
    fovea_array *arrays;
    fovea_launch *prepare, *run;
    int32_t *args;          /* of all launches */
    char *texts;            /* those that are numbered */
    const int32_t *kernels; /* the address of each, counted in bytes from that of this list */
    const struct fovea_device_code *codes; /* instead of kernels: of each (executor.h); else NULL */
} fovea_tables;

/* Where an array that follows this one in its place would begin, if all blocks were full. */
static inline int64_t fovea_tables_end(const fovea_array *a) {
    int64_t guarded = a->offset + a->bytes + FOVEA_GUARD_BYTES;
    return a->place < FOVEA_PREPARED ? 0 : (guarded + 63) / 64 * 64;
}
/* The long form, whose size the writer knows. */
void fovea_tables_lengthen(const unsigned char *from, unsigned char *to);
/* Fills the tables of one program, whose numbers of arrays and launches are p's. `from`, in the long form, must stay:
 * texts point into it. Returns what follows. */
const unsigned char *fovea_tables_read(const unsigned char *from, const fovea_program *p, const fovea_tables *to);
#endif
