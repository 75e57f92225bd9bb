// The settings that every vault has.

package enum Settings {
    package static let defaultPriority = Setting<Int>("default_priority") { priority in
        (0...1000).contains(priority) ? nil : "must be from 0 to 1000"
    }
    package static let defaultTags = Setting<[String]>("default_tags") { tags in
        tags.count <= 50 && tags.allSatisfy { (1...128).contains($0.utf8.count) }
            ? nil : "must hold at most 50 tags of 1 to 128 bytes"
    }
    package static let defaultCampaignID = Setting<String>("default_campaign_id")
    package static let allowedSenderDomains = Setting<[DomainPattern]>("allowed_sender_domains") { domains in
        domains.count <= 1000 ? nil : "must not hold more than 1,000 domains"
    }
    package static let ipPoolStrategy = Setting<IPPoolStrategy>("ip_pool_strategy")
    package static let authMode = Setting<AuthMode>("auth_mode")
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

    package static let all: [SettingDeclaration] = [
        SettingDeclaration(defaultPriority, "Priority of a message that names none; higher goes first. 0 to 1000."),
        SettingDeclaration(defaultTags, optional: true, "Tags of a message that names none."),
        SettingDeclaration(defaultCampaignID, optional: true, "Campaign of a message that names none."),
        SettingDeclaration(
            allowedSenderDomains,
            "Domains that the envelope sender and the From header may have: `acme.com`, or `*.acme.com` for subdomains."
        ),
        SettingDeclaration(
            ipPoolStrategy,
            "How `ips` is found when a message names none: `from_domain` looks up the pool of the From domain."),
        SettingDeclaration(
            authMode, "Credentials that the send and map paths take: API keys, SMTP users by HTTP Basic, or both."),
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
    ]

    private static let byKey = Dictionary(uniqueKeysWithValues: all.map { ($0.key, $0) })

    package static func declaration(_ key: String) -> SettingDeclaration? { byKey[key] }
}

package enum IPPoolStrategy: String, SettingChoice {
    case fromDomain = "from_domain"
    case none
}

package enum AuthMode: String, SettingChoice {
    case apiKey = "api_key"
    case smtp
    case both
}

package enum SmarthostTLS: String, SettingChoice {
    case required, implicit, opportunistic, none
}

extension RouteName: SettingChoice {}
