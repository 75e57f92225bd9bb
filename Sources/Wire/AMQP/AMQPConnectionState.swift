// Where a connection stands, as readiness and metrics show it.

package enum AMQPConnectionState: Sendable, Equatable {
    /// No connection yet, or no more; with the reason why the last try or connection failed.
    case connecting(lastError: String?)
    /// In use; the broker's product, version and address.
    case connected(server: String)
    /// Connected, but the broker takes no messages (memory or disk alarm); its reason.
    case blocked(reason: String)
    /// Stopped.
    case closed
}
