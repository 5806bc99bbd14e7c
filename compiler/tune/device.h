/* device: devices of backends whose drivers do not survive a fork. The process that searches calls no driver: its
 * children do, each for itself. */
#ifndef FV_TUNE_DEVICE_H
#define FV_TUNE_DEVICE_H
#include "tune/child.h"

/* Asks in a child what the compiler has to know of the device, and remembers it in this process (fv_backend.learn);
 * call it before anything else of the backend. true at once for backends without drivers. *out: the facts; empty
 * without a driver. false after recording a BACKEND error: there is no such device, or its driver does not answer. */
bool fv_tune_meet(fv_ctx *ctx, const fv_backend *backend, const char *target, const char *device, fv_device_facts *out);

/* Does the default still run, once, in a child? Its answer is not looked at. false: *why says why not (cap bytes). */
bool fv_tune_alive(const fv_tune_job *job, char *why, size_t cap);
#endif
