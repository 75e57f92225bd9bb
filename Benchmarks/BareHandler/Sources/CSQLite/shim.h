// SQLite as Debian ships it: the same library under the bare handler as under Postern.
#include <sqlite3.h>
