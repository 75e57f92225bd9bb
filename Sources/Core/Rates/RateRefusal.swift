// Why a take got nothing, and the error that the caller hears.

import Model

struct RateRefusal: Sendable {
    struct Shortage: Sendable {
        let charge: RateCharge
        /// The bucket as it was, with what this process holds of it; `nil` where the charge is more than it ever holds.
        let state: TokenBucket?
    }

    let shortages: [Shortage]

    /// The worst of the shortages: what no waiting mends comes first, then what a person mends, then what takes
    /// longest.
    func error(at now: Timestamp) -> PosternError {
        guard let worst = shortages.max(by: { $0.rank(at: now) < $1.rank(at: now) }) else {
            preconditionFailure("a refusal without a reason")
        }
        return worst.error(at: now)
    }
}

extension RateRefusal.Shortage {
    private var bucket: RateBucket { charge.bucket }

    fileprivate func rank(at now: Timestamp) -> (Int, Timestamp) {
        let ready = state?.time(of: charge.tokens) ?? now
        switch bucket.kind {
        case .vault, .key, .own, .agent, .domain, .calls: return (state == nil ? 3 : 0, ready)
        case .approval: return (2, ready)
        case .repeat, .autoReply: return (1, ready)
        }
    }

    fileprivate func error(at now: Timestamp) -> PosternError {
        let rate = state?.status(of: bucket, at: now)
        let wait = state.map { max(now.seconds(until: $0.time(of: charge.tokens)), 1) }
        // More of the same at once than ever pass; one of them passes when a token is there again.
        let pause = wait ?? (3_600 + bucket.limit.perHour - 1) / bucket.limit.perHour
        let hourly = "\(bucket.limit.perHour) an hour"
        switch bucket.kind {
        case .vault, .key, .own, .agent, .domain:
            guard let rate, let wait else {
                return PosternError(
                    .burstExceeded,
                    "\(charge.tokens) messages at once are more than the \(bucket.limit.burst) that \(subject) may ever send "
                        + "(\(ceiling))")
            }
            return PosternError(
                .rateLimited,
                "\(subject) may send \(hourly) (\(setting)): "
                    + "\(rate.remaining) can go now, and \(charge.tokens) in \(wait) seconds",
                retryAfter: wait, rate: rate)
        case .approval:
            return PosternError(
                .approvalRequired,
                "a caller may send \(hourly) without a person's approval (approve_over_rate_threshold)", rate: rate)
        case .repeat:
            return PosternError(
                .repeatedMessage, "the same content may go to the same recipient \(hourly) (repeat_limit)",
                retryAfter: pause, rate: rate)
        case .autoReply:
            return PosternError(
                .repeatedMessage,
                "automatic replies of one sender may go to the same recipient \(hourly) (auto_reply_limit)",
                retryAfter: pause, rate: rate)
        case .calls:
            return PosternError(
                .rateLimited,
                "the vault's callers may make \(bucket.limit.burst) requests a minute (api_calls_per_minute of its plan)",
                retryAfter: pause, rate: rate)
        }
    }

    private var subject: String {
        switch bucket.kind {
        case .vault: "the vault"
        case .key: "this key or SMTP user"
        case .own: "the key \(bucket.name) with those that come from it"
        case .agent: "this agent"
        case .domain: "the vault to \(bucket.name)"
        case .approval, .repeat, .autoReply: "this caller"
        case .calls: "the vault's callers"
        }
    }

    private var setting: String {
        switch bucket.kind {
        case .vault: "send_rate_limit"
        case .key: "key_send_rate_limit"
        case .own: "the key's own limit"
        case .agent: "agent_send_rate_limit"
        case .domain: "domain_send_rate_limit"
        case .approval: "approve_over_rate_threshold"
        case .repeat: "repeat_limit"
        case .autoReply: "auto_reply_limit"
        case .calls: "api_calls_per_minute"
        }
    }

    private var ceiling: String {
        switch bucket.kind {
        case .vault: "burst_ceiling"
        case .key: "key_burst_ceiling"
        case .own: "the key's own burst"
        case .agent: "agent_burst_ceiling"
        case .domain: "domain_burst_ceiling"
        case .approval, .repeat, .autoReply, .calls: setting
        }
    }
}

extension TokenBucket {
    /// What a caller is told of it. The bucket is brought to the moment first.
    func status(of bucket: RateBucket, at now: Timestamp) -> RateStatus {
        var state = self
        state.advance(to: now)
        return RateStatus(
            name: bucket.statusName, limit: bucket.limit, remaining: state.tokens,
            resetSeconds: now.seconds(until: state.time(of: limit.burst)))
    }
}
