// Who did an administrative act, and by which way: what the audit log writes down.

package struct Actor: Hashable, Sendable {
    /// The caller's id.
    package let id: String
    package let label: String
    /// `http`, `cli` for acts of the program itself on its own machine.
    package let door: String
    /// Where the request came from, if over a network.
    package let address: String?
    package let requestID: String?

    package init(id: String, label: String, door: String, address: String? = nil, requestID: String? = nil) {
        self.id = id
        self.label = label
        self.door = door
        self.address = address
        self.requestID = requestID
    }
}
