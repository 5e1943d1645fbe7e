/* What the HTTP/1.1 machine costs: ns for reading one small GET and for answering it, beside
 * llhttp alone (no callbacks) on the same bytes. The budget is 600 ns for read and respond.
 *
 *     bench_http1 [ROUNDS]      prints one line a figure: the best of five runs */
#include <inttypes.h>
#include <llhttp.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "protocol/http1/http1.h"

static const char request[] = "GET /v1/session/poll?cursor=12 HTTP/1.1\r\n"
                              "Host: 127.0.0.1:3000\r\n"
                              "User-Agent: curl/7.88.1\r\n"
                              "Accept: */*\r\n"
                              "X-Agent-Id: agent-1\r\n"
                              "X-Session-Key: 0123456789abcdef\r\n\r\n";
static const char date[] = "Sun, 06 Nov 1994 08:49:37 GMT";

static int64_t now_ns(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
    return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

static void must(bool ok)
{
    if (!ok)
        abort();
}

static void read_one(struct nx_http1_server *server)
{
    size_t taken = 0;

    must(nx_http1_server_read(server, 1, nx_bytes_of(request, sizeof(request) - 1), &taken) == 0);
    must(nx_http1_server_request(server) != NULL);
}

static void answer_one(struct nx_http1_server *server)
{
    const struct nx_http1_answer answer = {
            .status = 200,
            .headers = NX_BYTES("Content-Type: application/json\r\n"
                                "X-Request-Id: 0123456789abcdef\r\n"),
            .body = NX_BYTES("{\"messages\":[],\"nextCursor\":\"12\"}"),
    };

    must(nx_http1_server_respond(server, 1, date, &answer) == 0);
    nx_http1_server_written(server, 1, nx_http1_server_output(server).len);
}

static double bench_machine(int64_t rounds, struct nx_http1_server *server)
{
    int64_t start = now_ns();

    for (int64_t i = 0; i < rounds; i++) {
        read_one(server);
        answer_one(server);
    }
    return (double)(now_ns() - start) / (double)rounds;
}

/* Answering alone, between two looks at the clock, whose own cost is taken off. */
static double bench_respond(int64_t rounds, struct nx_http1_server *server)
{
    int64_t spent = 0;
    int64_t clock_cost = 0;

    for (int64_t i = 0; i < rounds; i++) {
        int64_t start;

        read_one(server);
        start = now_ns();
        answer_one(server);
        spent += now_ns() - start;
        start = now_ns();
        clock_cost += now_ns() - start;
    }
    return (double)(spent - clock_cost) / (double)rounds;
}

static int stop(llhttp_t *parser)
{
    (void)parser;
    return HPE_PAUSED;
}

static double bench_llhttp(int64_t rounds)
{
    static const llhttp_settings_t settings = {.on_headers_complete = stop};
    int64_t start = now_ns();

    for (int64_t i = 0; i < rounds; i++) {
        llhttp_t parser;

        llhttp_init(&parser, HTTP_REQUEST, &settings);
        must(llhttp_execute(&parser, request, sizeof(request) - 1) == HPE_PAUSED);
    }
    return (double)(now_ns() - start) / (double)rounds;
}

int main(int argc, char **argv)
{
    int64_t rounds = argc > 1 ? strtoll(argv[1], NULL, 10) : 200000;
    double machine = 1e9;
    double respond = 1e9;
    double alone = 1e9;
    struct nx_http1_server *server = NULL;

    must(rounds > 0);
    must(nx_http1_server_new(nx_mem_libc(), &nx_http1_limits_default, 1, &server) == 0);
    for (int i = 0; i < 5; i++) {
        double ns = bench_machine(rounds, server);

        machine = ns < machine ? ns : machine;
        ns = bench_respond(rounds / 10 + 1, server);
        respond = ns < respond ? ns : respond;
        ns = bench_llhttp(rounds);
        alone = ns < alone ? ns : alone;
    }
    nx_http1_server_free(server);
    printf("request bytes        %zu\n", sizeof(request) - 1);
    printf("read + respond       %.0f ns\n", machine);
    printf("respond, about       %.0f ns\n", respond);
    printf("llhttp alone         %.0f ns\n", alone);
    printf("read / llhttp alone  %.2f\n", (machine - respond) / alone);
    return 0;
}
