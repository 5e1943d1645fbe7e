/* The floor under any server here: libuv and llhttp alone. Parses each request (RFC 9112) with
 * llhttp and gives one fixed answer, the same bytes to everybody. No limits, no deadlines, no
 * pipelining past one buffer: a measure to compare with, not a server.
 *
 *   bench_uv_llhttp FILE
 *
 * FILE holds the whole answer, head and body. Listens on a free port of 127.0.0.1 and prints it;
 * runs until it is killed. */
#include <llhttp.h>
#include <stdio.h>
#include <stdlib.h>
#include <uv.h>

#define ANSWER_MAX 65536
#define READ_BYTES 65536

struct client {
    uv_tcp_t tcp; /* first: the handle is the client */
    llhttp_t parser;
    unsigned asked;
};

static char answer[ANSWER_MAX];
static size_t answer_len;
static llhttp_settings_t settings;

static int on_complete(llhttp_t *parser)
{
    struct client *client = parser->data;

    client->asked++;
    return 0;
}

static void on_closed(uv_handle_t *handle)
{
    free(handle);
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    static char bytes[READ_BYTES]; /* used up before the next read: one loop, one thread */

    (void)handle;
    (void)suggested;
    *buf = uv_buf_init(bytes, sizeof(bytes));
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    struct client *client = (struct client *)(void *)stream;
    uv_buf_t out = uv_buf_init(answer, (unsigned)answer_len);

    if (n == 0)
        return;
    if (n < 0 || llhttp_execute(&client->parser, buf->base, (size_t)n) != HPE_OK)
        client->asked = 0, uv_close((uv_handle_t *)stream, on_closed);
    for (; client->asked > 0; client->asked--) {
        /* An answer fits the socket's buffer: the client reads one before it asks again. */
        if (uv_try_write(stream, &out, 1) != (int)answer_len) {
            uv_close((uv_handle_t *)stream, on_closed);
            return;
        }
    }
}

static void on_connection(uv_stream_t *server, int status)
{
    struct client *client = status < 0 ? NULL : malloc(sizeof(*client));

    if (!client)
        return;
    if (uv_tcp_init(server->loop, &client->tcp) < 0) {
        free(client);
        return;
    }
    llhttp_init(&client->parser, HTTP_REQUEST, &settings);
    client->parser.data = client;
    client->asked = 0;
    if (uv_accept(server, (uv_stream_t *)&client->tcp) < 0 || uv_tcp_nodelay(&client->tcp, 1) < 0 ||
            uv_read_start((uv_stream_t *)&client->tcp, on_alloc, on_read) < 0)
        uv_close((uv_handle_t *)&client->tcp, on_closed);
}

static int load(const char *path)
{
    FILE *file = fopen(path, "rb");

    if (!file)
        return -1;
    answer_len = fread(answer, 1, sizeof(answer), file);
    (void)fclose(file);
    return answer_len > 0 && answer_len < sizeof(answer) ? 0 : -1;
}

int main(int argc, char **argv)
{
    uv_loop_t *loop = uv_default_loop();
    struct sockaddr_in address;
    int len = sizeof(address);
    uv_tcp_t server;

    if (argc != 2 || load(argv[1]) < 0) {
        (void)fprintf(stderr, "usage: bench_uv_llhttp FILE (1 to %d bytes)\n", ANSWER_MAX - 1);
        return 2;
    }
    llhttp_settings_init(&settings);
    settings.on_message_complete = on_complete;
    if (uv_ip4_addr("127.0.0.1", 0, &address) < 0 || uv_tcp_init(loop, &server) < 0 ||
            uv_tcp_bind(&server, (const struct sockaddr *)&address, 0) < 0 ||
            uv_listen((uv_stream_t *)&server, 128, on_connection) < 0 ||
            uv_tcp_getsockname(&server, (struct sockaddr *)&address, &len) < 0) {
        (void)fprintf(stderr, "bench_uv_llhttp: cannot listen\n");
        return 1;
    }
    (void)printf("%u\n", (unsigned)ntohs(address.sin_port));
    (void)fflush(stdout);
    return uv_run(loop, UV_RUN_DEFAULT);
}
