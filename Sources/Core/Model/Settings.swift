// The settings that every vault has.

import JSON
package import MIME

package enum Settings {
    package static let defaultPriority = Setting<Int>("default_priority") { priority in
        (0...1000).contains(priority) ? nil : "must be from 0 to 1000"
    }
    package static let defaultEnvelopeStrategy = Setting<EnvelopeStrategy>("default_envelope_strategy")
    package static let envelopeAddress = Setting<EmailAddress>("envelope_address")
    package static let defaultTags = Setting<[String]>("default_tags") { tags in
        tags.count <= 50 && tags.allSatisfy { (1...128).contains($0.utf8.count) }
            ? nil : "must hold at most 50 tags of 1 to 128 bytes"
    }
    package static let defaultCampaignID = Setting<String>("default_campaign_id")
    package static let allowedSenderDomains = Setting<[DomainPattern]>("allowed_sender_domains") { domains in
        domains.count <= 1000 ? nil : "must not hold more than 1,000 domains"
    }
    package static let ipPoolStrategy = Setting<IPPoolStrategy>("ip_pool_strategy")
    package static let ipPoolMissing = Setting<IPPoolMissing>("ip_pool_missing")
    package static let authMode = Setting<AuthModes>("auth_mode")
    package static let inboundSMTPEnabled = Setting<Bool>("inbound_smtp_enabled")
    package static let liveSendEnabled = Setting<Bool>("live_send_enabled")
    package static let route = Setting<RouteName>("route")
    package static let smarthostHost = Setting<String>("smarthost_host") { $0.isEmpty ? "must not be empty" : nil }
    package static let smarthostPort = Setting<Int>("smarthost_port") { port in
        (1...65535).contains(port) ? nil : "must be from 1 to 65535"
    }
    package static let smarthostTLS = Setting<SmarthostTLS>("smarthost_tls")
    package static let smarthostUsername = Setting<String>("smarthost_username")
    package static let smarthostPassword = Setting<String>("smarthost_password")

    package static let sendRateLimit = Setting<Int>("send_rate_limit", check: rate)
    package static let burstCeiling = Setting<Int>("burst_ceiling", check: rate)
    package static let keySendRateLimit = Setting<Int>("key_send_rate_limit", check: rate)
    package static let keyBurstCeiling = Setting<Int>("key_burst_ceiling", check: rate)
    package static let agentSendRateLimit = Setting<Int>("agent_send_rate_limit", check: rate)
    package static let agentBurstCeiling = Setting<Int>("agent_burst_ceiling", check: rate)
    package static let domainSendRateLimit = Setting<Int>("domain_send_rate_limit", check: rate)
    package static let domainBurstCeiling = Setting<Int>("domain_burst_ceiling", check: rate)
    package static let repeatLimit = Setting<Int>("repeat_limit", check: repetitions)
    package static let autoReplyLimit = Setting<Int>("auto_reply_limit", check: repetitions)
    package static let approveOverRateThreshold = Setting<Int>("approve_over_rate_threshold", check: rate)
    package static let agentSendRequiresApproval = Setting<Bool>("agent_send_requires_approval")
    package static let outboundGuard = Setting<OutboundGuard>("outbound_guard")
    package static let retentionDays = Setting<Int>("retention_days") { days in
        (1...3650).contains(days) ? nil : "must be from 1 to 3650"
    }

    private static let rate: @Sendable (Int) -> String? = { rate in
        (1...RateLimit.maximum).contains(rate) ? nil : "must be from 1 to \(RateLimit.maximum)"
    }
    private static let repetitions: @Sendable (Int) -> String? = { count in
        (1...1_000_000).contains(count) ? nil : "must be from 1 to 1000000"
    }

    package static let all: [SettingDeclaration] = [
        SettingDeclaration(defaultPriority, "Priority of a message that names none; higher goes first. 0 to 1000."),
        SettingDeclaration(
            defaultEnvelopeStrategy,
            "Envelope sender of a message that names none. `from`: the From address. `fixed`: `envelope_address`. "
                + "`verp`: `envelope_address` with the recipient in its local part, `bounces+jane=example.org@acme.com`."
        ),
        SettingDeclaration(
            envelopeAddress, optional: true,
            "Where bounces go with the envelope strategies `fixed` and `verp`, which need it."),
        SettingDeclaration(defaultTags, optional: true, "Tags of a message that names none."),
        SettingDeclaration(defaultCampaignID, optional: true, "Campaign of a message that names none."),
        SettingDeclaration(
            allowedSenderDomains,
            "Domains that the envelope sender and the From header may have: `acme.com`, or `*.acme.com` for subdomains."
        ),
        SettingDeclaration(
            ipPoolStrategy,
            "How `ips` is found when a message names none. `from_domain`: the pool of the From domain. `fixed:<pool>`: the "
                + "pool of that name. `caller`: the pool that the key or SMTP user names. `none`: MailerQ chooses."),
        SettingDeclaration(
            ipPoolMissing,
            "What happens when `ip_pool_strategy` finds no pool. `refuse`: the error `no_ip_pool`. `default`: the message "
                + "goes without `ips`, and MailerQ chooses."),
        SettingDeclaration(
            authMode,
            "Credentials that the paths take which mail is handed in by: API keys, SMTP users by HTTP Basic, or both. In "
                + "JSON one mode, or `{\"default\":\"api_key\",\"/v1/send\":\"both\"}`; the longest path wins. The paths are "
                + AuthModes.paths.map { "`\($0)`" }.joined(separator: ", ") + ", and what is below."),
        SettingDeclaration(inboundSMTPEnabled, "Whether the vault's SMTP users may sign in at the SMTP doors."),
        SettingDeclaration(
            liveSendEnabled,
            "Off: shadow mode, mail is captured. Takes effect only where the instance's live-send flag is on."),
        SettingDeclaration(route, "The way out."),
        SettingDeclaration(smarthostHost, "Name or address of the smart host. Needed by the route `smarthost`."),
        SettingDeclaration(smarthostPort, "Port of the smart host. Needed by the route `smarthost`."),
        SettingDeclaration(
            smarthostTLS,
            "`required`: STARTTLS with a verified certificate. `implicit`: TLS from the first byte, verified. "
                + "`opportunistic`: STARTTLS where offered, not verified. `none`: in clear."),
        SettingDeclaration(smarthostUsername, optional: true, "Login at the smart host; unset: no login."),
        SettingDeclaration(smarthostPassword, optional: true, secret: true, "Password at the smart host; kept sealed."),
        SettingDeclaration(
            sendRateLimit, optional: true,
            "Messages an hour of the whole vault, one a recipient; gained evenly. Unset: no limit."),
        SettingDeclaration(
            burstCeiling, optional: true,
            "Messages at once of the whole vault, when nothing was sent before. Unset: as many as `send_rate_limit`."),
        SettingDeclaration(
            keySendRateLimit, optional: true, "Messages an hour of each API key and each SMTP user. Unset: no limit."),
        SettingDeclaration(
            keyBurstCeiling, optional: true,
            "Messages at once of each API key and SMTP user. Unset: as many as `key_send_rate_limit`."),
        SettingDeclaration(
            agentSendRateLimit, optional: true,
            "Messages an hour of each agent, all of its keys together. Unset: no limit."),
        SettingDeclaration(
            agentBurstCeiling, optional: true,
            "Messages at once of each agent. Unset: as many as `agent_send_rate_limit`."),
        SettingDeclaration(
            domainSendRateLimit, optional: true, "Messages an hour to each recipient domain. Unset: no limit."),
        SettingDeclaration(
            domainBurstCeiling, optional: true,
            "Messages at once to each recipient domain. Unset: as many as `domain_send_rate_limit`."),
        SettingDeclaration(
            repeatLimit, optional: true,
            "How often an hour the same content may go to the same recipient, 1 to 1000000. Unset: no limit."),
        SettingDeclaration(
            autoReplyLimit, optional: true,
            "Automatic replies an hour of one sender to one recipient, 1 to 1000000. Unset: no limit."),
        SettingDeclaration(
            approveOverRateThreshold, optional: true,
            "Messages an hour of one caller above which a person has to approve. Unset: no threshold. Until there are "
                + "approvals, what needs one is refused with `approval_required`."),
        SettingDeclaration(
            agentSendRequiresApproval,
            "Whether a person has to approve what agents send. Until there are approvals, it is refused with "
                + "`approval_required`."),
        SettingDeclaration(
            outboundGuard, optional: true, "What looks into outgoing mail before it is accepted: nothing yet, so `off`."
        ),
        SettingDeclaration(
            retentionDays, optional: true,
            "Days after its last event that a message which has ended is deleted, with its content and events, 1 to 3650. "
                + "Unset: kept."),
    ]

    private static let byKey = Dictionary(uniqueKeysWithValues: all.map { ($0.key, $0) })

    package static func declaration(_ key: String) -> SettingDeclaration? { byKey[key] }
}

package enum SmarthostTLS: String, SettingChoice {
    case required, implicit, opportunistic, none
}

package enum OutboundGuard: String, SettingChoice {
    case off
}

extension RouteName: SettingChoice {}
