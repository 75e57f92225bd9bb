// What a next hop reports of a message that it took over: its attempts, and how it ended.

package struct DeliveryReport: Sendable {
    /// One attempt of the next hop.
    package struct Attempt: Sendable {
        /// Its place in the report, from 1: the same attempt has the same place in every report of this hand-over.
        package let number: Int
        package let at: Timestamp?
        package let code: Int?
        package let enhancedCode: String?
        /// What the other side said.
        package let reply: Foreign<String>?
        /// A JSON object for the timeline.
        package let detail: Foreign<String>?

        package init(
            number: Int,
            at: Timestamp?,
            code: Int? = nil,
            enhancedCode: String? = nil,
            reply: Foreign<String>? = nil,
            detail: Foreign<String>? = nil
        ) {
            self.number = number
            self.at = at
            self.code = code
            self.enhancedCode = enhancedCode
            self.reply = reply
            self.detail = detail
        }
    }

    package enum Verdict: Sendable {
        /// The next hop goes on trying.
        case pending
        case delivered
        case bounced
        case failed
        case expired
    }

    package let message: MessageID
    package let vault: VaultID
    /// Which of our hand-overs this is about, from 1.
    package let handOver: Int
    /// Oldest first. With a verdict other than `.pending` the last one decided.
    package let attempts: [Attempt]
    package let verdict: Verdict

    package init(message: MessageID, vault: VaultID, handOver: Int, attempts: [Attempt], verdict: Verdict) {
        self.message = message
        self.vault = vault
        self.handOver = handOver
        self.attempts = attempts
        self.verdict = verdict
    }
}
