/* The OpenCL part of a library: texts and tables of its programs, and what the driver of one device makes of them. */
#ifndef FV_CLI_ARTEFACT_OPENCL_H
#define FV_CLI_ARTEFACT_OPENCL_H
#include "cli/artefact.h"

/* Writes into `folder` what the library takes in as it is: the texts of all device forms, each once, and with a->device
 * the binaries of its driver, which it counts in a. false after recording errors. */
bool cli_opencl_files(fv_ctx *ctx, cli_artefact *a, const char *folder);
/* C: these files, and for every device form F the list codes_F, by launch->code, and its options device_F. */
void cli_opencl_program(const cli_artefact *a, const char *folder, fv_buf *out);

/* One program as a driver has built it. */
typedef struct cli_opencl_binary {
    const char *key, *source; /* see fovea_opencl_binary */
    int64_t offset, bytes;    /* in the file of binaries */
} cli_opencl_binary;
/* Builds the programs of the form that suits a->device on it and appends the binaries to `out`: a->binary, n_binaries,
 * binary_form and device_name. In builds with OpenCL only (artefact_binaries.c). false after recording an error. */
bool cli_opencl_build(fv_ctx *ctx, cli_artefact *a, fv_buf *out);
#endif
