// One message for one recipient, as MailerQ takes it from its outbox queue or by `POST /v1/inject`.
// Documented in CopernicaMarketingSoftware/Documentation, Mailerq/5.13/json-messages.md.

package struct MailerQMessage: Sendable {
    /// How the message itself is written.
    package enum MIME: Sendable {
        /// A finished RFC 5322 message. It must be UTF-8, or no JSON string can hold it.
        case string([UInt8])
        /// Fields in the form of Postern's product scope: `replyto`, and `content` as an array of blocks.
        case canonical(MailerQContent)
        /// Fields in the form of MailerQ's own documents (ResponsiveEmail): `replyTo`, and `content` as HTML.
        case responsive(MailerQContent)
    }

    /// Labels for whoever reads the results; MailerQ carries them along unread.
    package struct Tracking: Hashable, Sendable {
        package var userID: String?
        package var endpointID: String?
        package var context: String?
        package var isVisible: Bool?

        package init(userID: String? = nil, endpointID: String? = nil, context: String? = nil, isVisible: Bool? = nil) {
            self.userID = userID
            self.endpointID = endpointID
            self.context = context
            self.isVisible = isVisible
        }
    }

    /// Queues for this message's results, instead of those of MailerQ's configuration.
    package struct Queues: Hashable, Sendable {
        package enum Name: Hashable, Sendable {
            /// The one of MailerQ's configuration; nothing is written.
            case configured
            /// None: such results are not published (`null`).
            case none
            case named(String)
        }

        package var success: Name
        package var failure: Name
        package var retry: Name
        package var results: Name

        package init(
            success: Name = .configured,
            failure: Name = .configured,
            retry: Name = .configured,
            results: Name = .configured
        ) {
            self.success = success
            self.failure = failure
            self.retry = retry
            self.results = results
        }
    }

    /// RCPT TO.
    package var recipient: String
    /// MAIL FROM; `nil` is the null reverse path, to which no bounce is sent.
    package var envelope: String?
    package var mime: MIME
    /// Local addresses to send from. Left out when empty: MailerQ fails a message whose array is empty.
    package var ips: [String] = []
    /// Name of an IP pool; MailerQ looks at it only where there are no `ips`.
    package var pool: String?
    /// Higher goes first, where MailerQ's queues have `rabbitmq-maxpriority`.
    package var priority: Int?
    package var tags: [String] = []
    package var campaignID: String?
    package var tracking: Tracking?
    /// Not before this moment.
    package var nextAttempt: MailerQTime?
    /// Not after this moment: then it is a failure, process/timeout.
    package var maxDeliverTime: MailerQTime?
    package var queues = Queues()
    package var reference: MailerQReference?

    package init(recipient: String, envelope: String?, mime: MIME) {
        self.recipient = recipient
        self.envelope = envelope
        self.mime = mime
    }
}

/// A message as fields, for MailerQ to build.
package struct MailerQContent: Hashable, Sendable {
    package struct Party: Hashable, Sendable {
        package var name: String
        package var address: String

        package init(name: String, address: String) {
            self.name = name
            self.address = address
        }
    }

    /// MailerQ copies it without validation: name and value must be ready for the wire.
    package struct Header: Hashable, Sendable {
        package var name: String
        package var value: String

        package init(name: String, value: String) {
            self.name = name
            self.value = value
        }
    }

    package var to: String
    package var from: Party
    package var replyTo: Party
    package var subject: String?
    package var text: String?
    /// Blocks of HTML in order.
    package var html: [String] = []
    /// No name twice: they become members of one object.
    package var headers: [Header] = []

    package init(to: String, from: Party, replyTo: Party) {
        self.to = to
        self.from = from
        self.replyTo = replyTo
    }
}
