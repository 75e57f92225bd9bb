/* bare: publishes one body again and again through librabbitmq, with confirms, and does nothing else: the peer of
 * Postern's relay. The broker's URL comes by AMQP_URL, since a command line can be read by anybody on the machine.
 *
 *     AMQP_URL=amqp://… bare QUEUE MESSAGES WINDOW BODY-FILE
 *
 * Persistent, mandatory, properties like Postern's; at most WINDOW messages without their confirm. Prints a line of JSON.
 */

#include <amqp.h>
#include <amqp_framing.h>
#include <amqp_tcp_socket.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

enum { CHANNEL = 1, NO_LIMIT = 0, HEARTBEAT = 60, LARGEST_FRAME = 131072, LONGEST_ID = 40 };

static _Noreturn void fail(const char *what, const char *why) {
    fprintf(stderr, "bare: %s: %s\n", what, why);
    exit(1);
}

static void need(int status, const char *what) {
    if (status != AMQP_STATUS_OK) fail(what, amqp_error_string2(status));
}

static void need_reply(amqp_rpc_reply_t reply, const char *what) {
    if (reply.reply_type == AMQP_RESPONSE_LIBRARY_EXCEPTION) fail(what, amqp_error_string2(reply.library_error));
    if (reply.reply_type != AMQP_RESPONSE_NORMAL) fail(what, "the broker says no");
}

static unsigned long number(const char *text, const char *what) {
    char *end;
    unsigned long value = strtoul(text, &end, 10);
    if (*text < '0' || *text > '9' || *end != '\0' || value == 0) fail(what, "not a number above 0");
    return value;
}

static amqp_bytes_t contents(const char *path) {
    FILE *file = fopen(path, "rb");
    if (file == NULL || fseek(file, 0, SEEK_END) != 0) fail(path, "cannot be read");
    long size = ftell(file);
    rewind(file);
    amqp_bytes_t bytes = amqp_bytes_malloc(size > 0 ? (size_t)size : 0);
    if (size <= 0 || fread(bytes.bytes, 1, bytes.len, file) != bytes.len) fail(path, "cannot be read");
    fclose(file);
    return bytes;
}

static amqp_connection_state_t connected(void) {
    char *url = getenv("AMQP_URL");
    struct amqp_connection_info info;
    /* It writes into the text; nobody else reads it. */
    if (url == NULL || amqp_parse_url(url, &info) != AMQP_STATUS_OK) fail("AMQP_URL", "not a broker's URL");
    amqp_connection_state_t connection = amqp_new_connection();
    amqp_socket_t *socket = amqp_tcp_socket_new(connection);
    if (socket == NULL) fail("socket", "no memory");
    need(amqp_socket_open(socket, info.host, info.port), "connecting");
    need_reply(
        amqp_login(connection, info.vhost, NO_LIMIT, LARGEST_FRAME, HEARTBEAT, AMQP_SASL_METHOD_PLAIN, info.user,
                   info.password),
        "logging in");
    amqp_channel_open(connection, CHANNEL);
    need_reply(amqp_get_rpc_reply(connection), "opening a channel");
    amqp_confirm_select(connection, CHANNEL);
    need_reply(amqp_get_rpc_reply(connection), "turning confirms on");
    return connection;
}

static void publish(amqp_connection_state_t connection, amqp_bytes_t queue, amqp_bytes_t body, unsigned long serial) {
    char message[LONGEST_ID], correlation[LONGEST_ID];
    snprintf(message, sizeof message, "msg_%016lx", serial);
    snprintf(correlation, sizeof correlation, "cor_%016lx", serial);
    amqp_basic_properties_t properties;
    properties._flags = AMQP_BASIC_CONTENT_TYPE_FLAG | AMQP_BASIC_DELIVERY_MODE_FLAG | AMQP_BASIC_PRIORITY_FLAG |
                        AMQP_BASIC_MESSAGE_ID_FLAG | AMQP_BASIC_CORRELATION_ID_FLAG;
    properties.content_type = amqp_cstring_bytes("application/json");
    properties.delivery_mode = AMQP_DELIVERY_PERSISTENT;
    properties.priority = 5;
    properties.message_id = amqp_cstring_bytes(message);
    properties.correlation_id = amqp_cstring_bytes(correlation);
    const bool mandatory = true, immediate = false;
    need(amqp_basic_publish(connection, CHANNEL, amqp_empty_bytes, queue, mandatory, immediate, &properties, body),
         "publishing");
}

/* Confirms may come in any order, each for one message or for all up to it. */
struct window {
    bool *is_open;
    unsigned long published, oldest, open;
};

static void confirm(struct window *window, uint64_t tag, bool multiple) {
    if (tag == 0 || tag > window->published) fail("a confirm", "for a message that was not published");
    for (uint64_t each = multiple ? window->oldest : tag; each <= tag; each++) {
        window->open -= window->is_open[each];
        window->is_open[each] = false;
    }
    while (window->oldest <= window->published && !window->is_open[window->oldest]) window->oldest++;
}

/* Waits for one frame, then takes what has come with it. */
static void read_confirms(amqp_connection_state_t connection, struct window *window) {
    do {
        amqp_frame_t frame;
        struct timeval patience = {.tv_sec = 60};
        need(amqp_simple_wait_frame_noblock(connection, &frame, &patience), "waiting for confirms");
        if (frame.frame_type != AMQP_FRAME_METHOD) continue;
        if (frame.payload.method.id == AMQP_BASIC_ACK_METHOD) {
            amqp_basic_ack_t *ack = frame.payload.method.decoded;
            confirm(window, ack->delivery_tag, ack->multiple);
        } else {
            fail("the broker did not confirm, but says", amqp_method_name(frame.payload.method.id));
        }
        amqp_maybe_release_buffers(connection);
    } while (amqp_frames_enqueued(connection) || amqp_data_in_buffer(connection));
}

static double seconds(clockid_t clock) {
    struct timespec time;
    clock_gettime(clock, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

int main(int count, char **arguments) {
    if (count != 5) fail("usage", "AMQP_URL=amqp://… bare QUEUE MESSAGES WINDOW BODY-FILE");
    amqp_bytes_t queue = amqp_cstring_bytes(arguments[1]);
    unsigned long messages = number(arguments[2], "MESSAGES"), most = number(arguments[3], "WINDOW");
    amqp_bytes_t body = contents(arguments[4]);
    struct window window = {.is_open = calloc(messages + 1, sizeof(bool)), .oldest = 1};
    if (window.is_open == NULL) fail("the window", "no memory");
    amqp_connection_state_t connection = connected();

    double started = seconds(CLOCK_MONOTONIC), processor = seconds(CLOCK_PROCESS_CPUTIME_ID);
    while (window.published < messages || window.open > 0) {
        if (window.published == messages || window.open == most) {
            read_confirms(connection, &window);
        } else {
            window.is_open[++window.published] = true;
            window.open++;
            publish(connection, queue, body, window.published);
        }
    }
    double took = seconds(CLOCK_MONOTONIC) - started;
    processor = seconds(CLOCK_PROCESS_CPUTIME_ID) - processor;

    need_reply(amqp_connection_close(connection, AMQP_REPLY_SUCCESS), "closing");
    printf("{\"accepted\":%lu,\"seconds\":%.6f,\"per_second\":%.3f,\"cpu_seconds\":%.6f}\n", messages, took,
           (double)messages / took, processor);
    return 0;
}
