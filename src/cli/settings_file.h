/* The configuration file: {"serve": {"listen": "127.0.0.1:3000", "rate-limit": 100}}. */
#ifndef NX_CLI_SETTINGS_FILE_H
#define NX_CLI_SETTINGS_FILE_H

#include "cli/settings.h"

/* Reads settings->path. No file at the default place is no fault. Returns 0 or an exit code with
 * settings->fault. */
int nx_settings_read_file(struct nx_settings *settings);

#endif
