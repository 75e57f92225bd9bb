// What can be told of an address in a text that somebody else wrote, and that may be no address at all.

package enum AddressText {
    /// What follows the last `@`, in lower case; `nil` where there is none.
    package static func domain(of text: String) -> String? {
        text.lastIndex(of: "@").map { text[text.index(after: $0)...].lowercased() }
    }
}
