// What is limited: a bucket by its kind and name, and what a submission takes from it.

package import Model

package struct RateBucket: Hashable, Sendable {
    package enum Kind: String, Hashable, Sendable, CaseIterable {
        /// All mail of the vault. `send_rate_limit`, `burst_ceiling`.
        case vault
        /// Each API key and each SMTP user. `key_send_rate_limit`, `key_burst_ceiling`.
        case key
        /// A key together with the keys that come from it: the limit that it was given itself.
        case own
        /// Each agent with its keys. `agent_send_rate_limit`, `agent_burst_ceiling`.
        case agent
        /// All mail of the vault to one recipient domain. `domain_send_rate_limit`, `domain_burst_ceiling`.
        case domain
        /// What a caller may send in an hour without a person's approval. `approve_over_rate_threshold`.
        case approval
        /// The same content to the same recipient. `repeat_limit`.
        case `repeat`
        /// Automatic replies of one sender to one recipient. `auto_reply_limit`.
        case autoReply
        /// Requests over HTTP, of all callers of the vault. `api_calls_per_minute` of its plan.
        case calls
    }

    package let kind: Kind
    /// Empty for the vault; an id, a domain, a digest for the others.
    package let name: String
    package let limit: RateLimit

    package init(_ kind: Kind, _ name: String = "", limit: RateLimit) {
        self.kind = kind
        self.name = name
        self.limit = limit
    }

    /// `vault`, `key:key_01…`: the name in the database.
    package var text: String { Self.text(kind, name) }

    static func text(_ kind: Kind, _ name: String) -> String {
        name.isEmpty ? kind.rawValue : "\(kind.rawValue):\(name)"
    }

    /// The name that callers are told. Their own id and digests would say nothing to them.
    package var statusName: String {
        switch kind {
        case .vault, .key, .agent, .approval, .repeat: kind.rawValue
        case .autoReply: "auto_reply"
        case .calls: "api_calls"
        case .own, .domain: text
        }
    }
}

package struct RateCharge: Hashable, Sendable {
    package let bucket: RateBucket
    /// Not below zero.
    package let tokens: Int

    package init(_ bucket: RateBucket, tokens: Int) {
        precondition(tokens >= 0, "a charge below zero")
        self.bucket = bucket
        self.tokens = tokens
    }
}

/// What was taken. Give it back if the submission is not accepted after all.
package struct RateGrant: Sendable {
    let vault: VaultID
    let charges: [RateCharge]
    /// The tightest bucket as it was right after.
    let tightest: (bucket: RateBucket, remaining: Int, resetSeconds: Int)?

    /// The tightest of the caller's limits, for the headers of an answer; `nil` where there is none.
    package var status: RateStatus? {
        tightest.map {
            RateStatus(
                name: $0.bucket.statusName, limit: $0.bucket.limit, remaining: $0.remaining,
                resetSeconds: $0.resetSeconds)
        }
    }
}
