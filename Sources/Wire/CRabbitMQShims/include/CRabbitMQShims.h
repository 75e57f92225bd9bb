// What Swift cannot call or read of librabbitmq: the variadic login, macros with casts,
// options of its socket; and two GNU extensions for the thread that uses it.

#ifndef POSTERN_C_RABBITMQ_SHIMS_H
#define POSTERN_C_RABBITMQ_SHIMS_H

#include <stdint.h>

#include <amqp.h>
#include <amqp_framing.h>

/// Logs in with PLAIN and asks for connection.blocked and consumer_cancel_notify. `connection_name` is what the
/// broker's console shows. All strings are copied by the library before this returns.
amqp_rpc_reply_t postern_amqp_login(amqp_connection_state_t connection, const char *virtual_host, int heartbeat,
                                    const char *connection_name, const char *username, const char *password);

/// Bounds how long written bytes may stay unacknowledged by the peer's kernel, or a closed window may stop us
/// (TCP_USER_TIMEOUT, milliseconds), and makes the socket close on exec. 0, or -1 with errno.
int postern_amqp_bound_socket(int socket, unsigned int milliseconds);

/// A bell for `poll`: non-blocking, closed on exec. -1 with errno when there is none to be had.
int postern_amqp_make_bell(void);

/// Names the calling thread, up to 15 bytes.
void postern_amqp_name_thread(const char *name);

extern const amqp_method_number_t postern_amqp_basic_ack;
extern const amqp_method_number_t postern_amqp_basic_nack;
extern const amqp_method_number_t postern_amqp_basic_return;
extern const amqp_method_number_t postern_amqp_basic_deliver;
extern const amqp_method_number_t postern_amqp_basic_cancel;
extern const amqp_method_number_t postern_amqp_basic_get_ok;
extern const amqp_method_number_t postern_amqp_channel_close;
extern const amqp_method_number_t postern_amqp_channel_close_ok;
extern const amqp_method_number_t postern_amqp_connection_close;
extern const amqp_method_number_t postern_amqp_connection_close_ok;
extern const amqp_method_number_t postern_amqp_connection_blocked;
extern const amqp_method_number_t postern_amqp_connection_unblocked;

#endif
