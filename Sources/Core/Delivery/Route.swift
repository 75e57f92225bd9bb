// A way out: takes messages, and says of each what became of it.

package import Model
package import Store

/// Which messages go into one call of a route.
package enum RouteGrouping: Sendable {
    /// Those of one vault that share a payload: one transaction with the next hop.
    case payload
    /// Whatever is due, of all vaults, so many at most: the next hop takes them one by one anyway.
    case any(maximum: Int)
}

/// What a yes of the next hop means.
package enum RouteKind: Sendable {
    /// The message is at its end: the next hop answers for it.
    case delivers
    /// The next hop tries on our behalf, and its results come later. Until its yes the message stays queued.
    case handsOver
}

package protocol Route: Sendable {
    var grouping: RouteGrouping { get }
    var kind: RouteKind { get }
    /// Whether it takes messages at the moment. While it does not, its messages stay in the outbox, untouched.
    var isAvailable: Bool { get }

    /// Tries to send. Never throws: whatever goes wrong is an outcome.
    /// - Parameter messages: at least one, as `grouping` says.
    /// - Returns: one outcome a message.
    func deliver(_ messages: [ClaimedMessage]) async -> [RouteOutcome]
}

package struct RouteOutcome: Sendable {
    package enum Result: Sendable {
        /// The next hop has it, and answers for it.
        case delivered
        /// The next hop has it, and its results are still to come.
        case handedOver
        /// Worth another try.
        case deferred
        /// Nothing was tried: the route cannot take anything at the moment. Only for routes that hand over.
        case notTried
        /// The next hop refused it for good.
        case bounced
        /// It cannot be sent from here, and another try would not help.
        case failed
    }

    package let message: ClaimedMessage
    package let result: Result
    /// The SMTP reply code and the enhanced code (RFC 3463) behind the result, where there was one.
    package let code: Int?
    package let enhancedCode: String?
    /// What the other side said, or why it could not be asked.
    package let reply: Foreign<String>?
    /// A JSON object for the timeline.
    package let detail: Foreign<String>?

    package init(
        message: ClaimedMessage,
        result: Result,
        code: Int? = nil,
        enhancedCode: String? = nil,
        reply: Foreign<String>? = nil,
        detail: Foreign<String>? = nil
    ) {
        self.message = message
        self.result = result
        self.code = code
        self.enhancedCode = enhancedCode
        self.reply = reply
        self.detail = detail
    }
}

extension Route {
    package var grouping: RouteGrouping { .payload }
    package var kind: RouteKind { .delivers }
    package var isAvailable: Bool { true }
}
