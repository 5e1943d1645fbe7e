/* Putting the session server together, running it, taking it apart. */
#include "node/session_server.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "node/session_internal.h"
#include "node/version.h"

#define FILES_SPARE 64 /* descriptors for everything but connections */

static void configure(struct server *server)
{
    const struct nx_session_server_options *options = server->options;
    struct nx_bytes url = nx_bytes_str(options->public_url);

    while (url.len > 0 && url.ptr[url.len - 1] == '/')
        url.len--;
    server->settings = (struct nx_api_settings){
            .public_url = url,
            .version = nx_version(),
            .ttl_default_s = options->ttl_default_s < options->ttl_max_s ? options->ttl_default_s
                                                                         : options->ttl_max_s,
            .ttl_max_s = options->ttl_max_s,
            .agents_default_v1 = options->agents_default_v1,
            .agents_default_v2 = options->agents_default_v2,
            .agents_max = options->agents_max,
            .poll_bytes_max = (size_t)4 * 1024 * 1024,
    };
    server->http_limits = nx_http1_limits_default;
    server->http_limits.body_bytes_max = options->body_bytes_max;
    /* A poll's page, one message beyond it, and the members. */
    server->http_limits.output_bytes_max =
            server->settings.poll_bytes_max + 2 * options->body_bytes_max + (size_t)1024 * 1024;
}

static int fault_is(struct nx_session_server_fault *ret_fault, int error, const char *what,
        const char *value, const char *advice)
{
    (void)snprintf(ret_fault->text, sizeof(ret_fault->text), "%s '%s': %s", what, value, advice);
    return error;
}

static int trust_proxies(struct server *server, struct nx_session_server_fault *ret_fault)
{
    struct nx_bytes list = nx_bytes_str(server->options->trusted_proxies);
    struct nx_bytes bad = {NULL, 0};
    int r = nx_ip_blocks_parse(list, &server->trusted, &bad);

    if (r < 0)
        (void)snprintf(ret_fault->text, sizeof(ret_fault->text),
                "--trusted-proxy: '%.*s' is no address or block like 10.0.0.0/8%s", (int)bad.len,
                bad.ptr ? bad.ptr : "", r == NX_E_LIMIT ? " (or there are too many)" : "");
    return r;
}

static int listen_all(struct server *server, struct nx_session_server_fault *ret_fault)
{
    const char *text = server->options->listen;
    struct nx_address address, bound;
    char shown[NX_ADDRESS_TEXT];

    if (nx_address_parse(nx_bytes_str(text), &address) < 0)
        return fault_is(ret_fault, NX_E_INVALID, "--listen", text,
                "must be an address and a port, like 127.0.0.1:3000 or [::1]:3000");
    for (unsigned i = 0; i < server->loop_count; i++) {
        int r = nx_loop_listen(server->loops[i]->loop, &address, i > 0, &bound);

        if (r == NX_E_BUSY)
            return fault_is(ret_fault, r, "cannot listen on", text,
                    "another program has the port; choose another with --listen");
        if (r < 0)
            return fault_is(ret_fault, r, "cannot listen on", text, strerror(errno));
        address = bound;
    }
    nx_address_text(&bound, shown);
    (void)snprintf(server->origin, sizeof(server->origin), "http://%s", shown);
    return 0;
}

static int loops_open(struct server *server, struct nx_session_server_fault *ret_fault)
{
    unsigned count = server->options->loops > 0 ? server->options->loops : nx_thread_cores();
    int r = 0;

    if (count > LOOPS_MAX)
        count = LOOPS_MAX;
    /* The store reports to every loop from its first commit on, so all must be there; each is
     * counted when it is. */
    server->loop_count = count;
    for (unsigned i = 0; r == 0 && i < count; i++)
        r = server_loop_new(server, i, &server->loops[i]);
    if (r == 0 && server->options->handle_signals)
        r = nx_loop_catch_signals(server->loops[0]->loop);
    if (r < 0) {
        (void)snprintf(ret_fault->text, sizeof(ret_fault->text), "cannot start %u loops: %s", count,
                nx_error_text(r));
        return r;
    }
    return 0;
}

static void *run_loop(void *ctx)
{
    struct server_loop *loop = ctx;

    nx_loop_run(loop->loop);
    return NULL;
}

/* Loop 0 runs on this thread, the others on their own. */
static int run(struct server *server, struct nx_session_server_fault *ret_fault)
{
    unsigned started = 1;
    int r = 0;

    while (r == 0 && started < server->loop_count) {
        r = nx_thread_start(&server->loops[started]->thread, run_loop, server->loops[started]);
        if (r == 0)
            started++;
    }
    if (r < 0) {
        (void)snprintf(ret_fault->text, sizeof(ret_fault->text), "cannot start a thread");
        for (unsigned i = 1; i < started; i++) {
            atomic_store(&server->stopping, true);
            nx_loop_wake(server->loops[i]->loop);
        }
    } else {
        if (server->options->on_ready)
            server->options->on_ready(server->options->ctx, server->origin);
        nx_loop_run(server->loops[0]->loop);
    }
    for (unsigned i = 1; i < started; i++)
        nx_thread_join(&server->loops[i]->thread);
    return r;
}

int nx_session_server_run(
        const struct nx_session_server_options *options, struct nx_session_server_fault *ret_fault)
{
    const struct nx_mem *mem = nx_mem_libc();
    struct server *server = nx_mem_zalloc(mem, 1, sizeof(*server));
    struct nx_entropy entropy;
    struct nx_random random = nx_entropy_init(&entropy);
    size_t files;
    int r;

    if (!server) {
        (void)snprintf(ret_fault->text, sizeof(ret_fault->text), "out of memory");
        return NX_E_NOMEM;
    }
    server->options = options;
    server->mem = mem;
    server->started_ms = nx_clock_now().mono_ms;
    nx_random_fill(&random, &server->address_key, sizeof(server->address_key));
    nx_entropy_done(&entropy);
    configure(server);
    /* A peer that hangs up while we write is no reason to die. */
    (void)signal(SIGPIPE, SIG_IGN);
    /* Nor is a file that may not grow: the store and the log get EFBIG. */
    (void)signal(SIGXFSZ, SIG_IGN);
    files = nx_loop_raise_file_limit();
    if (files < options->connections_max + FILES_SPARE)
        (void)fprintf(stderr,
                "nexus: this process may open %zu files only, fewer than --max-connections asks "
                "for\n",
                files);
    r = trust_proxies(server, ret_fault);
    if (r == 0)
        r = loops_open(server, ret_fault);
    if (r == 0)
        r = shards_open(server, ret_fault);
    if (r == 0)
        r = listen_all(server, ret_fault);
    if (r == 0)
        r = run(server, ret_fault);
    /* The store first: its last reports go to loops that are still there. */
    shards_close(server);
    for (unsigned i = 0; i < server->loop_count; i++)
        server_loop_free(server->loops[i]);
    nx_mem_free(mem, server);
    return r;
}
