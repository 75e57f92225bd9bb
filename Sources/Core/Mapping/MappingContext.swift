// What a dialect needs beside the payload: the vault's values, the limits, the moment.

package import Model

package struct MappingContext: Sendable {
    package let settings: SettingsSnapshot
    /// Sending addresses by domain, for messages that name none.
    package let pools: [String: [String]]
    package let limits: MappingLimits
    /// Our own name, for Received fields.
    package let hostname: String
    package let correlation: CorrelationID
    package let now: Timestamp

    package init(
        settings: SettingsSnapshot,
        pools: [String: [String]],
        limits: MappingLimits,
        hostname: String,
        correlation: CorrelationID,
        now: Timestamp
    ) {
        self.settings = settings
        self.pools = pools
        self.limits = limits
        self.hostname = hostname
        self.correlation = correlation
        self.now = now
    }
}

package struct MappingLimits: Sendable {
    /// Octets of a finished message. Default 25 MiB and a little for what we add.
    package var messageBytes: Int
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

/// A payload in canonical form.
package struct MappedSubmission: Sendable {
    /// One a recipient, at least one.
    package let envelopes: [Envelope]
    package var sendAt: Timestamp?
    /// The caller's own words about the submission, handed back with it.
    package var metadata: [String: String] = [:]

    package init(envelopes: [Envelope], sendAt: Timestamp? = nil, metadata: [String: String] = [:]) {
        self.envelopes = envelopes
        self.sendAt = sendAt
        self.metadata = metadata
    }
}
