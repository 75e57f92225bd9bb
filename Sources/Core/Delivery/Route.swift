// A way out: takes messages that share a payload, and says of each what became of it.

package import Model
package import Store

package protocol Route: Sendable {
    /// Tries to send. Never throws: whatever goes wrong is an outcome.
    /// - Parameter messages: at least one; all of one vault and one payload.
    /// - Returns: one outcome a message.
    func deliver(_ messages: [ClaimedMessage]) async -> [RouteOutcome]
}

package struct RouteOutcome: Sendable {
    package enum Result: Sendable {
        /// The next hop has it.
        case delivered
        /// Worth another try.
        case deferred
        /// The next hop refused it for good.
        case bounced
        /// It cannot be sent from here, and another try would not help.
        case failed
    }

    package let message: ClaimedMessage
    package let result: Result
    /// What the other side said, or why it could not be asked.
    package let reply: Foreign<String>?
    /// A JSON object for the timeline.
    package let detail: Foreign<String>?

    package init(
        message: ClaimedMessage,
        result: Result,
        reply: Foreign<String>? = nil,
        detail: Foreign<String>? = nil
    ) {
        self.message = message
        self.result = result
        self.reply = reply
        self.detail = detail
    }
}
