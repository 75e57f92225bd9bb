// Text that came from outside: a peer's words, a subject, a body. It is data, and has to be made safe before it is shown.

package struct Foreign<Value: Sendable & Hashable>: Hashable, Sendable, CustomStringConvertible {
    private let value: Value

    package init(_ value: Value) { self.value = value }

    /// The bare value, for a place where it stays data: a bound SQL value, a JSON string, the wire.
    package func asData() -> Value { value }

    /// Logs say that something was there, not what.
    package var description: String { "‹foreign›" }
}
