// What a dialect needs beside the payload: the vault's values, the limits, the moment.

package import Model

package struct MappingContext: Sendable {
    package let settings: SettingsSnapshot
    /// Sending addresses, for messages that name none.
    package let pools: IPPools
    /// The pool that is the caller's own.
    package let callerPool: String?
    package let limits: MappingLimits
    /// Our own name, for Received fields.
    package let hostname: String
    /// The id of the message being mapped.
    package private(set) var correlation: CorrelationID
    package let now: Timestamp
    /// Whether the origins of all fields are wanted.
    package let isExplained: Bool
    private let anotherCorrelation: @Sendable () -> CorrelationID

    /// - Parameter correlations: gives out a new id for each message of a payload.
    package init(
        settings: SettingsSnapshot,
        pools: IPPools,
        callerPool: String? = nil,
        limits: MappingLimits,
        hostname: String,
        now: Timestamp,
        isExplained: Bool = false,
        correlations: @escaping @Sendable () -> CorrelationID
    ) {
        self.settings = settings
        self.pools = pools
        self.callerPool = callerPool
        self.limits = limits
        self.hostname = hostname
        self.now = now
        self.isExplained = isExplained
        anotherCorrelation = correlations
        correlation = correlations()
    }

    /// The last moment that a message may wait for.
    var latestSchedule: Timestamp { now.adding(seconds: Double(limits.scheduleDays) * 86_400) }

    /// The context of a payload's next message.
    package func next() -> MappingContext {
        var context = self
        context.correlation = anotherCorrelation()
        return context
    }
}

package struct MappingLimits: Sendable {
    /// Octets of a finished message. Default 25 MiB and a little for what we add.
    package var messageBytes: Int
    /// Octets of a submission as JSON or as a form: base64 makes attachments a third longer, escapes may add to that.
    package var submissionBytes: Int { messageBytes / 2 * 3 + 1_048_576 }
    /// Recipients of one submission, 1–1,000 by RFC 5321's custom.
    package var recipients: Int
    /// How far ahead `send_at` may be, in days.
    package let scheduleDays = 90
    /// Tags of a message, and octets of each.
    package private(set) var tags = 50
    package private(set) var tagBytes = 128
    /// Sending addresses of a message.
    package private(set) var ips = 100
    /// Entries of `metadata`, and octets of all of it together.
    package let metadataEntries = 50
    package let metadataBytes = 4096
    /// Header fields that a caller may add.
    package private(set) var headers = 50
    /// Files of a message.
    package let attachments = 100

    /// For what was accepted already: rules may have been others then.
    static let none: MappingLimits = {
        var limits = MappingLimits(messageBytes: .max, recipients: .max)
        (limits.tags, limits.tagBytes, limits.ips, limits.headers) = (.max, .max, .max, .max)
        return limits
    }()

    package init(messageBytes: Int = 26_214_400, recipients: Int = 1000) {
        self.messageBytes = messageBytes
        self.recipients = recipients
    }
}

/// A message in canonical form.
package struct MappedMessage: Sendable {
    /// The id that the message's envelopes have in common; its Message-ID is made of it.
    package let correlation: CorrelationID
    /// One a recipient, at least one.
    package let envelopes: [Envelope]
    package var sendAt: Timestamp?
    /// The caller's own words about the message, handed back with it.
    package var metadata: [String: String]
    /// One an envelope, where they were asked for.
    package var origins: [FieldOrigins]

    package init(
        correlation: CorrelationID,
        envelopes: [Envelope],
        sendAt: Timestamp? = nil,
        metadata: [String: String] = [:],
        origins: [FieldOrigins] = []
    ) {
        self.correlation = correlation
        self.envelopes = envelopes
        self.sendAt = sendAt
        self.metadata = metadata
        self.origins = origins
    }
}
