// What glibc has and Swift's Glibc module does not bring over.

#ifndef POSTERN_C_GLIBC_SHIMS_H
#define POSTERN_C_GLIBC_SHIMS_H

/// Keeps the allocator from holding on to memory: blocks of a mebibyte or more go back to the system when they are freed,
/// and threads share at most `arenas` arenas. To be called before threads are started.
void postern_tune_allocator(int arenas);

#endif
