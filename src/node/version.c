/* The version comes from the build, which is where it is written down. */
#include "node/version.h"

const char *nx_version(void)
{
    return NX_VERSION;
}
