// The canonical message, one per recipient: the MailerQ JSON form of the product scope (seed 000 §06).

package import MIME

package struct Envelope: Sendable {
    /// Envelope RCPT TO.
    package var recipient: EmailAddress
    /// Envelope MAIL FROM (`envelope` in JSON).
    package var sender: EmailAddress
    /// Higher goes first.
    package var priority: Int
    /// Sending addresses; empty leaves the choice to the route.
    package var ips: [String]
    package var tags: [String]
    package var campaignID: String?
    package var tracking: Tracking?
    package var content: Content

    package init(
        recipient: EmailAddress,
        sender: EmailAddress,
        priority: Int,
        ips: [String] = [],
        tags: [String] = [],
        campaignID: String? = nil,
        tracking: Tracking? = nil,
        content: Content
    ) {
        self.recipient = recipient
        self.sender = sender
        self.priority = priority
        self.ips = ips
        self.tags = tags
        self.campaignID = campaignID
        self.tracking = tracking
        self.content = content
    }

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

    /// A name and an address whose name may be the address itself (the scope's default).
    package struct Party: Hashable, Sendable {
        package var name: String
        package var address: EmailAddress

        package init(name: String, address: EmailAddress) {
            self.name = name
            self.address = address
        }
    }

    package struct Header: Hashable, Sendable {
        package let name: String
        package let value: String

        package init(name: String, value: String) {
            self.name = name
            self.value = value
        }
    }

    /// The `mime` object: who it is from and what it says.
    package struct Content: Sendable {
        package var from: Party
        package var replyTo: Party
        package var subject: String?
        package var headers: [Header]
        package var body: Body

        package init(from: Party, replyTo: Party, subject: String?, headers: [Header] = [], body: Body) {
            self.from = from
            self.replyTo = replyTo
            self.subject = subject
            self.headers = headers
            self.body = body
        }
    }

    package enum Body: Sendable {
        /// Built into a message when it is sent. At least one of the two is there.
        case blocks(text: String?, html: [String])
        /// A finished RFC 5322 message, shared by all envelopes of its submission.
        case raw(RawMessage)
    }

    /// The bytes of a finished message. A class, so that a thousand envelopes share one copy.
    package final class RawMessage: Sendable {
        package let bytes: [UInt8]
        package init(_ bytes: [UInt8]) { self.bytes = bytes }
    }
}
