/* libuv behind loop.h. */
#include "io/loop.h"

#include <errno.h>
#include <sys/resource.h>
#include <unistd.h>
#include <uv.h>

#define READ_BYTES ((size_t)64 * 1024)
#define BACKLOG    1024

struct nx_tcp {
    uv_tcp_t handle; /* first: handles are cast to this */
    struct nx_loop *loop;
    struct nx_tcp *next, *previous;
    void *conn; /* the owner's; NULL until on_accept gave one */
    unsigned writes;
    bool reading;
};

struct nx_loop {
    uv_loop_t uv;
    const struct nx_mem *mem;
    struct nx_loop_handler handler;
    uv_tcp_t listener;
    uv_async_t wake;
    uv_timer_t beat;
    uv_signal_t interrupt, terminate;
    struct nx_tcp *connections;
    bool listening;
    bool accept_waits; /* a connection could not be taken for want of memory */
    char read_buffer[READ_BYTES];
};

struct write {
    uv_write_t request;
    struct nx_tcp *tcp;
    char bytes[];
};

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *ret_buf)
{
    struct nx_tcp *tcp = (struct nx_tcp *)(void *)handle;

    (void)suggested;
    *ret_buf = uv_buf_init(tcp->loop->read_buffer, READ_BYTES);
}

static void on_uv_closed(uv_handle_t *handle)
{
    struct nx_tcp *tcp = (struct nx_tcp *)(void *)handle;
    struct nx_loop *loop = tcp->loop;

    if (tcp->next)
        tcp->next->previous = tcp->previous;
    *(tcp->previous ? &tcp->previous->next : &loop->connections) = tcp->next;
    if (tcp->conn)
        loop->handler.on_closed(tcp->conn);
    nx_mem_free(loop->mem, tcp);
}

void nx_tcp_close(struct nx_tcp *tcp)
{
    if (!uv_is_closing((uv_handle_t *)&tcp->handle))
        uv_close((uv_handle_t *)&tcp->handle, on_uv_closed);
}

static void on_uv_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    struct nx_tcp *tcp = (struct nx_tcp *)(void *)stream;

    if (n > 0)
        tcp->loop->handler.on_read(tcp->conn, nx_bytes_of(buf->base, (size_t)n));
    else if (n == UV_EOF)
        tcp->loop->handler.on_eof(tcp->conn);
    else if (n < 0)
        nx_tcp_close(tcp);
}

void nx_tcp_read_pause(struct nx_tcp *tcp)
{
    if (tcp->reading) {
        (void)uv_read_stop((uv_stream_t *)&tcp->handle);
        tcp->reading = false;
    }
}

void nx_tcp_read_resume(struct nx_tcp *tcp)
{
    if (tcp->reading || uv_is_closing((uv_handle_t *)&tcp->handle))
        return;
    if (uv_read_start((uv_stream_t *)&tcp->handle, on_alloc, on_uv_read) < 0)
        nx_tcp_close(tcp);
    else
        tcp->reading = true;
}

/* Takes the connection that libuv holds out. */
static void accept_one(struct nx_loop *loop)
{
    uv_stream_t *server = (uv_stream_t *)&loop->listener;
    struct nx_address peer = {0};
    int peer_len = sizeof(peer.storage);
    struct nx_tcp *tcp = nx_mem_zalloc(loop->mem, 1, sizeof(*tcp));

    /* libuv stops listening until this connection is accepted: a beat tries again. */
    loop->accept_waits = !tcp || uv_tcp_init(&loop->uv, &tcp->handle) < 0;
    if (loop->accept_waits) {
        nx_mem_free(loop->mem, tcp);
        return;
    }
    tcp->loop = loop;
    tcp->next = loop->connections;
    if (tcp->next)
        tcp->next->previous = tcp;
    loop->connections = tcp;
    if (uv_accept(server, (uv_stream_t *)&tcp->handle) < 0 ||
            uv_tcp_getpeername(&tcp->handle, (struct sockaddr *)&peer.storage, &peer_len) < 0) {
        nx_tcp_close(tcp);
        return;
    }
    (void)uv_tcp_nodelay(&tcp->handle, 1);
    tcp->conn = loop->handler.on_accept(loop->handler.ctx, tcp, &peer);
    if (!tcp->conn)
        nx_tcp_close(tcp);
    else
        nx_tcp_read_resume(tcp);
}

static void on_uv_connection(uv_stream_t *server, int status)
{
    if (status == 0)
        accept_one(server->data);
}

static void on_uv_written(uv_write_t *request, int status)
{
    struct write *write = (struct write *)(void *)request;
    struct nx_tcp *tcp = write->tcp;

    nx_mem_free(tcp->loop->mem, write);
    tcp->writes--;
    if (status < 0)
        nx_tcp_close(tcp);
    else if (tcp->writes == 0 && !uv_is_closing((uv_handle_t *)&tcp->handle))
        tcp->loop->handler.on_sent(tcp->conn);
}

bool nx_tcp_sending(const struct nx_tcp *tcp)
{
    return tcp->writes > 0;
}

int nx_tcp_send(struct nx_tcp *tcp, struct nx_bytes bytes)
{
    struct write *write;
    uv_buf_t buf;

    if (uv_is_closing((uv_handle_t *)&tcp->handle))
        return NX_E_NETWORK;
    if (tcp->writes == 0) {
        union {
            const char *in;
            char *out;
        } cast = {.in = bytes.ptr}; /* uv_buf_t has no const; a write does not change it */
        int n;

        buf = uv_buf_init(cast.out, (unsigned)bytes.len);
        n = uv_try_write((uv_stream_t *)&tcp->handle, &buf, 1);
        if (n < 0 && n != UV_EAGAIN)
            return NX_E_NETWORK;
        if (n > 0)
            bytes = nx_bytes_from(bytes, (size_t)n);
    }
    if (bytes.len == 0)
        return 0;
    write = nx_mem_alloc(tcp->loop->mem, sizeof(*write) + bytes.len);
    if (!write)
        return NX_E_NOMEM;
    write->tcp = tcp;
    memcpy(write->bytes, bytes.ptr, bytes.len);
    buf = uv_buf_init(write->bytes, (unsigned)bytes.len);
    if (uv_write(&write->request, (uv_stream_t *)&tcp->handle, &buf, 1, on_uv_written) < 0) {
        nx_mem_free(tcp->loop->mem, write);
        return NX_E_NETWORK;
    }
    tcp->writes++;
    return 0;
}

void nx_tcp_shutdown(struct nx_tcp *tcp)
{
    uv_os_fd_t fd;

    if (!uv_is_closing((uv_handle_t *)&tcp->handle) &&
            uv_fileno((uv_handle_t *)&tcp->handle, &fd) == 0)
        (void)shutdown(fd, SHUT_WR);
}

static void on_uv_wake(uv_async_t *async)
{
    struct nx_loop *loop = async->data;

    loop->handler.on_wake(loop->handler.ctx);
}

static void on_uv_beat(uv_timer_t *timer)
{
    struct nx_loop *loop = timer->data;

    if (loop->accept_waits && !uv_is_closing((uv_handle_t *)&loop->listener))
        accept_one(loop);
    loop->handler.on_beat(loop->handler.ctx);
}

static void on_uv_signal(uv_signal_t *signal, int number)
{
    struct nx_loop *loop = signal->data;

    (void)number;
    loop->handler.on_signal(loop->handler.ctx);
}

int nx_loop_new(
        const struct nx_mem *mem, const struct nx_loop_handler *handler, struct nx_loop **ret_loop)
{
    struct nx_loop *loop = nx_mem_zalloc(mem, 1, sizeof(*loop));

    if (!loop)
        return NX_E_NOMEM;
    loop->mem = mem;
    loop->handler = *handler;
    if (uv_loop_init(&loop->uv) < 0) {
        nx_mem_free(mem, loop);
        return NX_E_IO;
    }
    loop->wake.data = loop->beat.data = loop->interrupt.data = loop->terminate.data = loop;
    if (uv_async_init(&loop->uv, &loop->wake, on_uv_wake) < 0 ||
            uv_timer_init(&loop->uv, &loop->beat) < 0 ||
            uv_timer_start(&loop->beat, on_uv_beat, handler->beat_ms, handler->beat_ms) < 0) {
        nx_loop_free(loop);
        return NX_E_IO;
    }
    *ret_loop = loop;
    return 0;
}

static void close_handle(uv_handle_t *handle, void *ctx)
{
    struct nx_loop *loop = ctx;

    if (uv_is_closing(handle))
        return;
    if (handle->type == UV_TCP && handle != (uv_handle_t *)&loop->listener)
        nx_tcp_close((struct nx_tcp *)(void *)handle);
    else
        uv_close(handle, NULL);
}

void nx_loop_free(struct nx_loop *loop)
{
    if (!loop)
        return;
    uv_walk(&loop->uv, close_handle, loop);
    (void)uv_run(&loop->uv, UV_RUN_DEFAULT);
    (void)uv_loop_close(&loop->uv);
    nx_mem_free(loop->mem, loop);
}

/* SO_REUSEPORT lets two programs of one user share a port unnoticed: a plain bind asks first
 * whether somebody else has it. */
static int port_is_free(const struct nx_address *address)
{
    socklen_t len = address->storage.ss_family == AF_INET ? sizeof(struct sockaddr_in)
                                                          : sizeof(struct sockaddr_in6);
    int fd = socket(address->storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int on = 1;
    int r;

    if (fd < 0)
        return NX_E_IO;
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    r = bind(fd, (const struct sockaddr *)&address->storage, len) < 0 || listen(fd, 1) < 0 ? -errno
                                                                                           : 0;
    (void)close(fd);
    return r == 0 ? 0 : r == -EADDRINUSE ? NX_E_BUSY : NX_E_IO;
}

static int reuse_port(uv_tcp_t *handle)
{
    uv_os_fd_t fd;
    int on = 1;

    if (uv_fileno((uv_handle_t *)handle, &fd) < 0)
        return NX_E_IO;
    return setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on)) < 0 ? NX_E_IO : 0;
}

int nx_loop_listen(struct nx_loop *loop, const struct nx_address *address, bool shared,
        struct nx_address *ret_bound)
{
    int len = sizeof(ret_bound->storage);
    int r = shared ? 0 : port_is_free(address);

    if (r < 0)
        return r;
    if (uv_tcp_init_ex(&loop->uv, &loop->listener, address->storage.ss_family) < 0)
        return NX_E_IO;
    loop->listener.data = loop;
    loop->listening = true;
    r = reuse_port(&loop->listener);
    if (r < 0)
        return r;
    r = uv_tcp_bind(&loop->listener, (const struct sockaddr *)&address->storage, 0);
    if (r == 0)
        r = uv_listen((uv_stream_t *)&loop->listener, BACKLOG, on_uv_connection);
    if (r == UV_EADDRINUSE)
        return NX_E_BUSY;
    if (r < 0 ||
            uv_tcp_getsockname(&loop->listener, (struct sockaddr *)&ret_bound->storage, &len) < 0) {
        errno = r < 0 ? -r : errno;
        return NX_E_IO;
    }
    return 0;
}

void nx_loop_unlisten(struct nx_loop *loop)
{
    if (loop->listening && !uv_is_closing((uv_handle_t *)&loop->listener))
        uv_close((uv_handle_t *)&loop->listener, NULL);
}

int nx_loop_catch_signals(struct nx_loop *loop)
{
    if (uv_signal_init(&loop->uv, &loop->interrupt) < 0 ||
            uv_signal_start(&loop->interrupt, on_uv_signal, SIGINT) < 0 ||
            uv_signal_init(&loop->uv, &loop->terminate) < 0 ||
            uv_signal_start(&loop->terminate, on_uv_signal, SIGTERM) < 0)
        return NX_E_IO;
    return 0;
}

void nx_loop_run(struct nx_loop *loop)
{
    (void)uv_run(&loop->uv, UV_RUN_DEFAULT);
}

void nx_loop_stop(struct nx_loop *loop)
{
    uv_stop(&loop->uv);
}

void nx_loop_wake(struct nx_loop *loop)
{
    (void)uv_async_send(&loop->wake);
}

size_t nx_loop_raise_file_limit(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
        return 0;
    if (limit.rlim_cur < limit.rlim_max) {
        limit.rlim_cur = limit.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &limit);
        (void)getrlimit(RLIMIT_NOFILE, &limit);
    }
    return (size_t)limit.rlim_cur;
}
