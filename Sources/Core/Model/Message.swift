// A message as the log knows it: one row, one recipient, its whole life.

package struct Message: Sendable {
    package let id: MessageID
    package let correlation: CorrelationID
    package let vault: VaultID
    package let callerID: String
    package let callerLabel: String
    package let door: Door
    package let sender: String
    package let recipient: String
    package let subject: Foreign<String>?
    package let status: MessageStatus
    package let route: RouteName
    package let tags: [String]
    package let size: Int
    package let attempts: Int
    /// The last thing a route said of it.
    package let lastReply: Foreign<String>?
    package let sendAt: Timestamp?
    package let deadline: Timestamp
    package let createdAt: Timestamp
    package let updatedAt: Timestamp

    /// Whether its body is nobody's to read here but the recipient's: letters to people hold links that open accounts.
    package var isConfidential: Bool {
        callerID == Caller.Identity.system.id && callerLabel == Caller.peopleLabel
    }

    package init(
        id: MessageID, correlation: CorrelationID, vault: VaultID, callerID: String, callerLabel: String, door: Door,
        sender: String, recipient: String, subject: Foreign<String>?, status: MessageStatus, route: RouteName,
        tags: [String], size: Int, attempts: Int, lastReply: Foreign<String>?, sendAt: Timestamp?,
        deadline: Timestamp, createdAt: Timestamp, updatedAt: Timestamp
    ) {
        self.id = id
        self.correlation = correlation
        self.vault = vault
        self.callerID = callerID
        self.callerLabel = callerLabel
        self.door = door
        self.sender = sender
        self.recipient = recipient
        self.subject = subject
        self.status = status
        self.route = route
        self.tags = tags
        self.size = size
        self.attempts = attempts
        self.lastReply = lastReply
        self.sendAt = sendAt
        self.deadline = deadline
        self.createdAt = createdAt
        self.updatedAt = updatedAt
    }
}

/// One fact about a message, at its time.
package struct MessageEvent: Sendable {
    package let id: EventID
    package let type: EventType
    package let at: Timestamp
    /// Counted from 1; 0 before the first attempt.
    package let attempt: Int
    package let route: RouteName?
    /// A JSON object: the reply, the peer, the transcript. Foreign, because a peer's words stand in it.
    package let detail: Foreign<String>?

    package init(
        id: EventID,
        type: EventType,
        at: Timestamp,
        attempt: Int = 0,
        route: RouteName? = nil,
        detail: Foreign<String>? = nil
    ) {
        self.id = id
        self.type = type
        self.at = at
        self.attempt = attempt
        self.route = route
        self.detail = detail
    }

    /// The same fact, not told as older than this moment.
    package func notBefore(_ floor: Timestamp) -> MessageEvent {
        MessageEvent(id: id, type: type, at: max(at, floor), attempt: attempt, route: route, detail: detail)
    }

    /// The same fact, of a message that has been attempted so often.
    package func after(attempts: Int) -> MessageEvent {
        MessageEvent(id: id, type: type, at: at, attempt: attempts, route: route, detail: detail)
    }
}

/// A way out.
package enum RouteName: String, Hashable, Sendable, CaseIterable {
    /// Captures and sends nothing.
    case shadow
    /// Hands over to one SMTP server, for all recipients.
    case smarthost
    /// Hands over to MailerQ through RabbitMQ.
    case mailerq
    /// Hands over to MailerQ through its REST API.
    case mailerqHTTP = "mailerq-http"
}
