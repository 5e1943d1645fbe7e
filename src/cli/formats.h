/* What the texts given as settings must look like. Each returns NULL when the text will do, else
 * what it should be, to go behind "'…' is not ". They look at form only: nothing is resolved. */
#ifndef NX_CLI_FORMATS_H
#define NX_CLI_FORMATS_H

/* "127.0.0.1:3000", "[::1]:3000", ":3000", "localhost:3000". */
const char *nx_format_listen(const char *text);
/* Not empty, no longer than the system takes. */
const char *nx_format_path(const char *text);
/* "http://host[:port][/path]" or https, without query, fragment or user. */
const char *nx_format_url(const char *text);
/* "10.0.0.1,192.168.0.0/16,fd00::/8". */
const char *nx_format_networks(const char *text);

#endif
