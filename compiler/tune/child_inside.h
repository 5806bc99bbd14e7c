/* Shared by child.c, which makes processes, and child_body.c, which is what they do. */
#ifndef FV_TUNE_CHILD_INSIDE_H
#define FV_TUNE_CHILD_INSIDE_H
#include "tune/child.h"

typedef enum { TUNE_LOWERS, TUNE_COMPILES, TUNE_RUNS, TUNE_TIMES } tune_phase;

/* In memory that parent and child share. */
typedef struct {
    const fv_tune_job *job;
    const fv_schedule *wish;
    volatile tune_phase phase;
    fv_tune_outcome outcome;
    volatile bool done;
} tune_report;
typedef struct {
    const fv_tune_job *job;
    const fv_schedule *const *wish;
    int n;
    volatile int next;
    fv_tune_foresight of[];
} tune_foresight;

void tune_try_body(void *user);     /* a tune_report */
void tune_foresee_body(void *user); /* a tune_foresight */
void tune_alive_body(void *user);   /* a tune_report: the default runs once */
#endif
