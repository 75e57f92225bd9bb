// An id from the command line. An empty one, as from an unset shell variable, would address the whole collection.

import ArgumentParser

enum IDArgument {
    static func check(_ id: String) throws {
        guard !id.isEmpty else { throw ValidationError("The id is empty.") }
    }
}
