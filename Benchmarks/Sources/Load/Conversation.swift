// What a load conversation is, whatever its protocol: bytes in, the next thing to do out. SMTP and HTTP differ only here,
// so that both are driven by the same loop and their figures can be compared.

/// What to write to the peer.
package enum Outgoing: Equatable, Sendable {
    /// A prepared piece of the conversation's ``Script``, by its index.
    case piece(Int)
    /// The message or request itself, which differs from one to the next.
    case message
}

/// What a conversation wants done after the bytes that it has read.
package enum Action: Equatable, Sendable {
    /// Nothing until more bytes come.
    case wait
    case send(Outgoing)
    /// The connection is set up, or has finished a message, and can begin the next.
    case ready
    /// The peer took the message that was under way; the connection is ready again.
    case accepted
    /// The peer said no: the connection is of no more use.
    case refused(String)
    /// The peer's farewell has come; the connection can be closed.
    case finished
}

/// A pure state machine for one connection.
package protocol Conversation {
    /// Reads on from `index` and stops after the first reply that calls for an action.
    mutating func next(_ bytes: UnsafeRawBufferPointer, from index: inout Int) -> Action
    /// The first thing to send for a new message; only when the last action was `ready` or `accepted`.
    mutating func begin() -> Outgoing
    /// The farewell, or nil where the protocol has none.
    mutating func end() -> Outgoing?
    /// Whether the peer speaks first (SMTP) or the connection is ready as soon as it is open (HTTP).
    static var peerSpeaksFirst: Bool { get }
}
