// Why a load run could not be made; the text is what the person at the terminal reads.

import Glibc

package struct LoadError: Error, CustomStringConvertible {
    package let description: String

    init(_ description: String) { self.description = description }

    /// Names the call that failed and the system's own words.
    init(call: String, errno code: Int32) {
        description = "\(call): \(String(cString: strerror(code)))"
    }
}
