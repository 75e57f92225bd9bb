// Who the gate thinks is asking, and what is left of its limits.

import Gate
import HTTPTypes
import Hummingbird
import JSON
import Model
import Rates
import Store
import Vaults

struct MeController: Sendable {
    let limiter: RateLimiter
    let vaults: VaultDirectory
    let callers: CallerDirectory

    var endpoints: [Endpoint] {
        [
            Endpoint(.get, "/v1/me", .selfRead, isGateway: false) { call in
                let caller = call.caller
                let settings = try await vaults.snapshot(of: caller.vault).settings
                let statuses = try await limiter.statuses(
                    RateRules.buckets(of: caller, settings: settings), in: caller.vault)
                let key = try await key(of: caller)
                return .json { writer in Self.write(caller, key, statuses, to: &writer) }
            }
        ]
    }

    private func key(of caller: Caller) async throws -> APIKey? {
        guard case .key(let id) = caller.identity else { return nil }
        return try await callers.keys.find(id, in: caller.vault)
    }

    private static func write(_ caller: Caller, _ key: APIKey?, _ statuses: [RateStatus], to writer: inout JSONWriter) {
        writer.object { writer in
            writer.member("id", caller.identity.id)
            switch caller.identity {
            case .key: writer.member("kind", "key")
            case .smtpUser: writer.member("kind", "smtp_user")
            case .member: writer.member("kind", "member")
            case .system: writer.member("kind", "system")
            }
            if let role = caller.role { writer.member("role", role.rawValue) }
            writer.member("label", caller.label)
            writer.member("vault", caller.vault.text)
            writer.member("agent", caller.agent?.text)
            writer.member("scopes", caller.scopes.namesInOrder)
            writer.member("read_only", caller.isReadOnly)
            writer.member("label_prefix", caller.labelPrefix)
            writer.name("sender_domains")
            if let domains = caller.senderDomains { writer.value(domains.json) } else { writer.null() }
            writer.name("allowed_ips")
            if let networks = key?.allowedIPs { writer.value(networks.map(\.description).json) } else { writer.null() }
            writer.member("ip_pool", caller.ipPool)
            writer.member("expires_at", key?.expiresAt)
            writer.name("rates")
            writer.array { writer in
                for status in statuses {
                    writer.object { writer in
                        writer.member("name", status.name)
                        writer.member("limit_per_hour", status.limit.perHour)
                        writer.member("burst", status.limit.burst)
                        writer.member("remaining", status.remaining)
                        writer.member("reset_seconds", status.resetSeconds)
                    }
                }
            }
        }
    }
}
