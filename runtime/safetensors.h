/* safetensors files: a strict reader over a memory map, conversion of elements, and a writer.
 *
 * The reader trusts nothing: header length, JSON grammar, key names, dtypes, ranks, products, offsets, holes,
 * overlaps, duplicate names and trailing bytes are all checked, before anything is allocated for what they claim;
 * messages say at which byte. Data need not be aligned. What is not checked is the data itself: NaN and infinity are
 * values. A file must not be truncated by another process while it is mapped. */
#ifndef FOVEA_SAFETENSORS_H
#define FOVEA_SAFETENSORS_H
#include "fovea.h"

enum { FOVEA_HEADER_MAX = 100000000 };   /* bytes of a header, as the reference implementation has it */

/* How elements are stored. The names in files are those after FOVEA_ST_. */
typedef enum {
    FOVEA_ST_BOOL, FOVEA_ST_U8, FOVEA_ST_I8, FOVEA_ST_U16, FOVEA_ST_I16, FOVEA_ST_U32, FOVEA_ST_I32, FOVEA_ST_U64,
    FOVEA_ST_I64, FOVEA_ST_F8_E5M2, FOVEA_ST_F8_E4M3, FOVEA_ST_F16, FOVEA_ST_BF16, FOVEA_ST_F32, FOVEA_ST_F64,
    FOVEA_ST_COUNT
} fovea_storage;
const char *fovea_storage_name(fovea_storage s);                 /* "F32" */
int64_t fovea_storage_size(fovea_storage s);                     /* bytes of one element */
bool fovea_storage_parse(const char *name, size_t n, fovea_storage *out);
fovea_storage fovea_storage_of(fovea_dtype dtype);

typedef struct {
    const char *name;                    /* UTF-8, no NUL inside */
    fovea_storage storage;
    int32_t rank;
    int64_t shape[FOVEA_MAX_RANK];
    const void *data;                    /* dense row-major, little endian, any alignment */
    int64_t count, bytes;                /* elements, bytes */
} fovea_stored;

/* open: maps the file. parse: over the caller's memory, which must outlive the result; `label` starts messages.
 * Both: *out is NULL on failure. Errors: FOVEA_E_FILE, FOVEA_E_FORMAT, FOVEA_E_MEMORY. Free with close (NULL is
 * fine). */
fovea_status fovea_safetensors_open(const char *path, fovea_safetensors **out, fovea_error *err);
fovea_status fovea_safetensors_parse(const void *data, size_t bytes, const char *label, fovea_safetensors **out,
                                     fovea_error *err);
void fovea_safetensors_close(fovea_safetensors *file);

int32_t fovea_safetensors_count(const fovea_safetensors *file);
/* in the order of the data */
const fovea_stored *fovea_safetensors_at(const fovea_safetensors *file, int32_t i);
const fovea_stored *fovea_safetensors_find(const fovea_safetensors *file, const char *name);  /* NULL: none */
const char *fovea_safetensors_metadata(const fovea_safetensors *file, const char *key);       /* NULL: none */

/* Writes t->count elements as `to`. Floats round to nearest even; a float that becomes an integer is refused, and so
 * is an integer that does not fit. *bad, if not NULL, gets the index of the element that did not fit. false:
 * refused. */
bool fovea_stored_convert(const fovea_stored *t, fovea_dtype to, void *out, int64_t *bad);
double fovea_f16_to_double(uint16_t bits);
uint16_t fovea_f16_from_double(double v);
uint16_t fovea_bf16_from_double(double v);

/* Writes tensors (name, storage, rank, shape, data; count and bytes are computed) in the order given. The file
 * appears whole or not at all: it is written beside its place and renamed. metadata: pairs key, value, ending in
 * NULL; NULL: none. */
fovea_status fovea_safetensors_write(const char *path, const fovea_stored *tensors, int32_t n,
                                     const char *const *metadata, fovea_error *err);
#endif
