/* OpenCL devices, described and probed, for `fovea devices`. */
#ifndef FV_CLI_DEVICE_REPORT_H
#define FV_CLI_DEVICE_REPORT_H
#include "cli/cli.h"

/* Prints every device; probes: also what it can do, each question in a child process of at most `seconds`. */
void cli_device_report(fv_ctx *ctx, bool probes, double seconds);
void cli_ask_devices_apart(void); /* from here on backends ask devices in processes of their own, too */
int cli_probe_child(fv_ctx *ctx, const char *what); /* "DEVICE:PROBE": prints yes, or no and why; exit code */
#endif
