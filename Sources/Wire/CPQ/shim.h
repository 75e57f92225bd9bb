// PostgreSQL's own client library, as Swift sees it.

#ifndef POSTERN_CPQ_H
#define POSTERN_CPQ_H

#include <libpq-fe.h>

#endif
