/* The version of this build. */
#ifndef NX_NODE_VERSION_H
#define NX_NODE_VERSION_H

/* "0.1.0"; static. */
const char *nx_version(void);

#endif
