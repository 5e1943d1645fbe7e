/* The event loop where memory is short: what it could not take it takes later. Loopback only. */
#include "io/loop.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define BEATS_MAX 500

struct watch {
    struct nx_loop *loop;
    unsigned refuse; /* allocations that fail from now on */
    unsigned refused, accepted, beats;
};

static void *resize(void *ctx, void *ptr, size_t bytes)
{
    struct watch *watch = ctx;

    if (bytes > 0 && watch->refuse > 0) {
        watch->refuse--;
        watch->refused++;
        return NULL;
    }
    if (bytes == 0) {
        free(ptr);
        return NULL;
    }
    return realloc(ptr, bytes);
}

static void *on_accept(void *ctx, struct nx_tcp *tcp, const struct nx_address *peer)
{
    struct watch *watch = ctx;

    (void)tcp;
    (void)peer;
    watch->accepted++;
    return NULL;
}

static void on_beat(void *ctx)
{
    struct watch *watch = ctx;

    if (watch->accepted == 2 || ++watch->beats == BEATS_MAX)
        nx_loop_stop(watch->loop);
}

static int connect_to(const struct nx_address *address)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    assert_int_equal(
            connect(fd, (const struct sockaddr *)&address->storage, sizeof(struct sockaddr_in)), 0);
    return fd;
}

static void connections_wait_for_memory(void **state)
{
    struct watch watch = {0};
    const struct nx_mem mem = {resize, &watch};
    const struct nx_loop_handler handler = {
            .on_accept = on_accept, .on_beat = on_beat, .ctx = &watch, .beat_ms = 10};
    struct nx_address address, bound;
    int first, second;

    (void)state;
    assert_int_equal(nx_address_parse(NX_BYTES("127.0.0.1:0"), &address), 0);
    assert_int_equal(nx_loop_new(&mem, &handler, &watch.loop), 0);
    assert_int_equal(nx_loop_listen(watch.loop, &address, false, &bound), 0);
    first = connect_to(&bound);
    second = connect_to(&bound);
    watch.refuse = 3;
    nx_loop_run(watch.loop);
    assert_int_equal(watch.refused, 3);
    assert_int_equal(watch.accepted, 2);
    nx_loop_free(watch.loop);
    (void)close(first);
    (void)close(second);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(connections_wait_for_memory)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
