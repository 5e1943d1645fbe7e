/* `nexus serve`: from settings to a running session server. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "cli/commands.h"

/* Makes the folders above the default data folder; the store makes the last one itself. A folder
 * somebody named is not made on the way: a mistyped path should be seen. */
static void make_parents(const char *path)
{
    char *copy = strdup(path);

    for (char *slash = copy ? strchr(copy + 1, '/') : NULL; slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        /* What is there already, or cannot be made, the store will find out and say. */
        if (mkdir(copy, 0700) < 0 && errno != EEXIST)
            break;
        *slash = '/';
    }
    free(copy);
}

static void print_ready(void *ctx, const char *url)
{
    const struct nx_session_server_options *options = ctx;

    if (options->data_dir)
        fprintf(stderr, "nexus: serving on %s (data in %s)\n", url, options->data_dir);
    else
        fprintf(stderr, "nexus: serving on %s (in memory, nothing is kept)\n", url);
}

static int serve(struct nx_settings *settings)
{
    struct nx_session_server_options options;
    struct nx_session_server_fault fault = {""};
    const struct nx_setting *dir = nx_settings_get(settings, "data-dir");
    char listen[128];
    int r;

    nx_serve_options(settings, &options);
    /* The server resolves no names; this one has always meant the same. */
    if (strncmp(options.listen, "localhost:", 10) == 0) {
        snprintf(listen, sizeof(listen), "127.0.0.1:%s", options.listen + 10);
        options.listen = listen;
    }
    if (options.data_dir && dir->source == NX_SETTING_DEFAULT)
        make_parents(options.data_dir);
    options.on_ready = print_ready;
    options.ctx = &options;
    r = nx_session_server_run(&options, &fault);
    if (r < 0)
        fprintf(stderr, "nexus serve: %s\n", *fault.text ? fault.text : nx_error_text(r));
    return nx_serve_exit(r);
}

int nx_command_serve(int argc, char **argv)
{
    const struct nx_settings_env env = nx_settings_environ();
    struct nx_settings settings;
    struct nx_args args;
    bool help;
    int r;

    r = nx_args_parse(&nx_verb_serve, "nexus serve", argc, argv, &args, &help);
    if (r == 0 && !help)
        r = nx_args_check_operands(&args, "nexus serve");
    if (r != 0 || help)
        return r;
    r = nx_settings_load(&settings, nx_mem_libc(), &nx_verb_serve, &args, &env);
    if (r == 0)
        r = nx_serve_check(&settings, &env);
    if (r == 0)
        r = serve(&settings);
    else
        fprintf(stderr, "nexus serve: %s\n", settings.fault);
    nx_settings_done(&settings);
    return r;
}
