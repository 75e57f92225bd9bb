// zlib as installed on the machine: bodies come from the broker with content-encoding gzip.

#ifndef POSTERN_C_ZLIB_H
#define POSTERN_C_ZLIB_H

#include <zlib.h>

#endif
