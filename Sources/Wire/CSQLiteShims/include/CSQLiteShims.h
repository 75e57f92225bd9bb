// SQLite's variadic functions, which Swift cannot call.

#ifndef POSTERN_C_SQLITE_SHIMS_H
#define POSTERN_C_SQLITE_SHIMS_H

/// Stops SQLite from counting its memory, which takes a global lock at each allocation. To be called before the first
/// database is opened; later it does nothing.
void postern_sqlite_disable_memory_statistics(void);

#endif
