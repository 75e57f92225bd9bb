// A column as the database itself describes it, for what copies or compares whole tables.

package struct SQLColumn: Hashable, Sendable {
    package enum Kind: String, Hashable, Sendable {
        case integer
        case real
        case text
        case blob
        /// Anything that our schema does not use.
        case other
    }

    /// Lower-case.
    package let name: String
    package let kind: Kind
    /// The column's place in the primary key, from 1.
    package let keyPosition: Int?

    package init(name: String, kind: Kind, keyPosition: Int?) {
        self.name = name
        self.kind = kind
        self.keyPosition = keyPosition
    }
}
