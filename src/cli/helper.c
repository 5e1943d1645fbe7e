/* Runs a verb that is a program of its own: beside this one in a build folder, in libexec/nexus of
 * an installation, or where NEXUS_LIBEXEC says. */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/commands.h"

/* The folder of the running program, without a slash at its end. Returns false when unknown. */
static bool own_folder(char folder[PATH_MAX])
{
    ssize_t len = readlink("/proc/self/exe", folder, PATH_MAX - 1);
    char *slash;

    if (len <= 0 || len >= PATH_MAX - 1)
        return false;
    folder[len] = '\0';
    slash = strrchr(folder, '/');
    if (!slash)
        return false;
    *slash = '\0';
    return true;
}

/* Runs it if it is there. Returns only when it is not, or cannot be run: with errno. */
static int try_run(const char *folder, const char *between, const char *program, char **argv)
{
    char path[PATH_MAX + 64];
    int len = snprintf(path, sizeof(path), "%s%s/%s", folder, between, program);

    if (len < 0 || (size_t)len >= sizeof(path)) {
        errno = ENAMETOOLONG;
        return -1;
    }
    execv(path, argv);
    return -1;
}

int nx_helper_run(const struct nx_verb *verb, int argc, char **argv)
{
    const char *libexec = getenv("NEXUS_LIBEXEC");
    char folder[PATH_MAX], where[PATH_MAX + 32], quoted[NX_QUOTE_MAX];
    int fault = ENOENT;

    /* argv[-1] is the verb's own word: the program gets it as its name, then the rest. */
    (void)argc;
    argv--;
    snprintf(where, sizeof(where), "this program's folder is unknown");
    if (libexec && *libexec) {
        snprintf(where, sizeof(where), "%.*s", PATH_MAX, libexec);
        try_run(libexec, "", verb->program, argv);
        fault = errno;
    } else if (own_folder(folder)) {
        snprintf(where, sizeof(where), "%s", folder);
        try_run(folder, "", verb->program, argv);
        fault = errno;
        if (fault == ENOENT) {
            try_run(folder, "/../libexec/nexus", verb->program, argv);
            fault = errno;
        }
    }
    fprintf(stderr,
            "nexus: the helper program '%s' of 'nexus %s' cannot be run (%s; looked in %s%s); "
            "install it, or set NEXUS_LIBEXEC to its folder\n",
            verb->program, verb->name, strerror(fault), nx_quote(where, quoted),
            libexec && *libexec ? "" : " and ../libexec/nexus");
    return NX_EXIT_UNAVAILABLE;
}
