// A part of a list: what comes after an id, at most so many.

package struct Page: Sendable {
    /// The last id of the page before; empty for the first page. Ids sort by time of creation.
    package let after: String
    /// 1–200.
    package let limit: Int

    package init(after: String = "", limit: Int = 50) {
        self.after = after
        self.limit = limit
    }
}
