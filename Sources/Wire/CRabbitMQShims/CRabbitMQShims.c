#define _GNU_SOURCE

#include "CRabbitMQShims.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

const amqp_method_number_t postern_amqp_basic_ack = AMQP_BASIC_ACK_METHOD;
const amqp_method_number_t postern_amqp_basic_nack = AMQP_BASIC_NACK_METHOD;
const amqp_method_number_t postern_amqp_basic_return = AMQP_BASIC_RETURN_METHOD;
const amqp_method_number_t postern_amqp_basic_deliver = AMQP_BASIC_DELIVER_METHOD;
const amqp_method_number_t postern_amqp_basic_cancel = AMQP_BASIC_CANCEL_METHOD;
const amqp_method_number_t postern_amqp_basic_get_ok = AMQP_BASIC_GET_OK_METHOD;
const amqp_method_number_t postern_amqp_channel_close = AMQP_CHANNEL_CLOSE_METHOD;
const amqp_method_number_t postern_amqp_channel_close_ok = AMQP_CHANNEL_CLOSE_OK_METHOD;
const amqp_method_number_t postern_amqp_connection_close = AMQP_CONNECTION_CLOSE_METHOD;
const amqp_method_number_t postern_amqp_connection_close_ok = AMQP_CONNECTION_CLOSE_OK_METHOD;
const amqp_method_number_t postern_amqp_connection_blocked = AMQP_CONNECTION_BLOCKED_METHOD;
const amqp_method_number_t postern_amqp_connection_unblocked = AMQP_CONNECTION_UNBLOCKED_METHOD;

static amqp_table_entry_t boolean_entry(const char *key, amqp_boolean_t value) {
    amqp_table_entry_t entry = {.key = amqp_cstring_bytes(key)};
    entry.value.kind = AMQP_FIELD_KIND_BOOLEAN;
    entry.value.value.boolean = value;
    return entry;
}

static amqp_table_entry_t text_entry(const char *key, const char *value) {
    amqp_table_entry_t entry = {.key = amqp_cstring_bytes(key)};
    entry.value.kind = AMQP_FIELD_KIND_UTF8;
    entry.value.value.bytes = amqp_cstring_bytes(value);
    return entry;
}

amqp_rpc_reply_t postern_amqp_login(amqp_connection_state_t connection, const char *virtual_host, int heartbeat,
                                    const char *connection_name, const char *username, const char *password) {
    // publisher_confirms and basic.nack: without the latter the broker closes the channel where it would nack.
    amqp_table_entry_t capabilities[] = {
        boolean_entry("connection.blocked", 1),
        boolean_entry("consumer_cancel_notify", 1),
        boolean_entry("publisher_confirms", 1),
        boolean_entry("basic.nack", 1),
    };
    amqp_table_entry_t properties[] = {
        text_entry("connection_name", connection_name),
        {.key = amqp_cstring_bytes("capabilities"), .value.kind = AMQP_FIELD_KIND_TABLE},
    };
    properties[1].value.value.table.num_entries = sizeof capabilities / sizeof capabilities[0];
    properties[1].value.value.table.entries = capabilities;
    amqp_table_t table = {sizeof properties / sizeof properties[0], properties};
    return amqp_login_with_properties(connection, virtual_host, AMQP_DEFAULT_MAX_CHANNELS, AMQP_DEFAULT_FRAME_SIZE,
                                      heartbeat, &table, AMQP_SASL_METHOD_PLAIN, username, password);
}

int postern_amqp_bound_socket(int socket, unsigned int milliseconds) {
    int flags = fcntl(socket, F_GETFD);
    if (flags == -1 || fcntl(socket, F_SETFD, flags | FD_CLOEXEC) == -1) return -1;
    return setsockopt(socket, IPPROTO_TCP, TCP_USER_TIMEOUT, &milliseconds, sizeof milliseconds);
}

int postern_amqp_make_bell(void) { return eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC); }

void postern_amqp_name_thread(const char *name) { (void)pthread_setname_np(pthread_self(), name); }
