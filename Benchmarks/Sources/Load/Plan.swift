// What one load run is to do.

package struct Plan: Sendable {
    package var peer: Address
    /// Connections at the same time.
    package var sessions: Int
    /// Messages in all.
    package var messages: Int
    /// Messages after which a connection is closed and another made; 0 = all on the same.
    package var messagesPerSession: Int
    /// Loopback addresses to connect from; 0 = the kernel's choice.
    package var sources: Int
    /// Seconds until the run is given up.
    package var timeout: Int

    package init(
        peer: Address,
        sessions: Int,
        messages: Int,
        messagesPerSession: Int,
        sources: Int,
        timeout: Int
    ) {
        self.peer = peer
        self.sessions = sessions
        self.messages = messages
        self.messagesPerSession = messagesPerSession
        self.sources = sources
        self.timeout = timeout
    }
}
