// A rule as somebody wrote it down: what it says in place of what is shipped, or beside it.

import JSON
package import Model

/// A way in which a rule's alerts are told.
package enum AlertWay: String, Hashable, Sendable, CaseIterable {
    /// The instance's webhook.
    case webhook
    /// The instance's address, or the rule's own where it is a vault's.
    case email
}

package struct AlertRule: Hashable, Sendable {
    /// What is not said stays as it is shipped.
    package struct Definition: Hashable, Sendable {
        package var threshold: Int?
        /// Of what a share is taken, so many at least.
        package var minimum: Int?
        /// Seconds.
        package var window: Int?
        /// Seconds.
        package var cooldown: Int?
        package var severity: AlertSeverity?
        package var channels: [AlertWay]?
        /// From which address a vault's letters are sent, and to which.
        package var sender: String?
        package var recipients: [String]?

        package init() {}
    }

    package let id: AlertRuleID
    /// `nil`: the instance's.
    package let vault: VaultID?
    package let condition: AlertCondition
    package var definition: Definition
    /// A rule that is switched off silences its condition, where no other rule speaks of it.
    package var isEnabled: Bool
    package let createdAt: Timestamp
    package var updatedAt: Timestamp

    package init(
        id: AlertRuleID, vault: VaultID?, condition: AlertCondition, definition: Definition = Definition(),
        isEnabled: Bool = true, createdAt: Timestamp, updatedAt: Timestamp
    ) {
        self.id = id
        self.vault = vault
        self.condition = condition
        self.definition = definition
        self.isEnabled = isEnabled
        self.createdAt = createdAt
        self.updatedAt = updatedAt
    }

    /// What the audit log shows.
    var audited: JSONValue {
        var object = definition.json
        object["condition"] = .string(condition.rawValue)
        object["is_enabled"] = .bool(isEnabled)
        return .object(object)
    }
}

extension AlertRule.Definition {
    /// As the table has it, and the audit log.
    var json: JSONObject {
        var object = JSONObject()
        func give(_ name: String, _ number: Int?) {
            if let number { object[name] = .integer(Int64(number)) }
        }
        give("threshold", threshold)
        give("minimum", minimum)
        give("window_seconds", window)
        give("cooldown_seconds", cooldown)
        if let severity { object["severity"] = .string(severity.rawValue) }
        if let channels { object["channels"] = .array(channels.map { .string($0.rawValue) }) }
        if let sender { object["from"] = .string(sender) }
        if let recipients { object["recipients"] = .array(recipients.map { .string($0) }) }
        return object
    }

    /// Reads what the table has. What a newer Postern added is passed over.
    init(stored object: JSONObject) {
        func number(_ name: String) -> Int? { object[name]?.integerValue.map { Int($0) } }
        threshold = number("threshold")
        minimum = number("minimum")
        window = number("window_seconds")
        cooldown = number("cooldown_seconds")
        severity = object["severity"]?.stringValue.flatMap(AlertSeverity.init)
        channels = object["channels"]?.arrayValue?.compactMap { $0.stringValue.flatMap(AlertWay.init) }
        sender = object["from"]?.stringValue
        recipients = object["recipients"]?.arrayValue?.compactMap(\.stringValue)
    }
}
