// librabbitmq as installed on the machine (0.11 on Debian 12); the headers keep these names in later versions.

#ifndef POSTERN_C_RABBITMQ_H
#define POSTERN_C_RABBITMQ_H

#include <sys/time.h>

#include <amqp.h>
#include <amqp_framing.h>
#include <amqp_ssl_socket.h>
#include <amqp_tcp_socket.h>

#endif
