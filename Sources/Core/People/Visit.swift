// Where a request came from, as far as sign-ins, sessions and the audit log want to know.

package import Model

package struct Visit: Hashable, Sendable {
    package let address: String?
    /// What the client calls itself; cut to what a list of sessions can show.
    package let userAgent: String?
    package let requestID: String?
    /// `http`, or `cli` for acts on the server's own machine.
    package let door: String

    package init(
        address: String? = nil, userAgent: String? = nil, requestID: String? = nil, door: String = "http"
    ) {
        self.address = address
        self.userAgent = userAgent.map { String($0.prefix(256)) }
        self.requestID = requestID
        self.door = door
    }

    package func actor(id: String, label: String) -> Actor {
        Actor(id: id, label: label, door: door, address: address, requestID: requestID)
    }

    package func actor(_ person: Person) -> Actor { actor(id: person.id.text, label: person.email) }
}
