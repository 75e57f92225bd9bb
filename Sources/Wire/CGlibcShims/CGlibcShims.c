#include "CGlibcShims.h"

#include <malloc.h>

void postern_tune_allocator(int arenas) {
    // Setting the threshold also switches off its growth: otherwise one freed block of 16 MiB (scrypt) would move all
    // later ones into the heap, which seldom shrinks.
    mallopt(M_MMAP_THRESHOLD, 1 << 20);
    mallopt(M_ARENA_MAX, arenas);
}
