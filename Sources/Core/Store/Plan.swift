// A plan: what vaults of one kind may have, in numbers and in features.

package import JSON
package import Model

package struct Plan: Hashable, Sendable {
    package let name: String
    package let limits: PlanLimits
    package let features: Set<PlanFeature>
    /// Where agents may be deployed to; `nil`: anywhere.
    package let deployTargets: [String]?
    /// When somebody last edited it; `nil`: as it was shipped.
    package let updatedAt: Timestamp?

    package init(
        name: String, limits: PlanLimits, features: Set<PlanFeature>, deployTargets: [String]?,
        updatedAt: Timestamp? = nil
    ) {
        self.name = name
        self.limits = limits
        self.features = features
        self.deployTargets = deployTargets
        self.updatedAt = updatedAt
    }

    /// What holds where the true plan cannot be read: nothing.
    package static func unreadable(_ name: String) -> Plan {
        Plan(name: name, limits: .none, features: [], deployTargets: [])
    }

    /// `{"limits":{…},"features":[…],"deploy_targets":[…]|null}`, as it stands in the database and in the audit log.
    package var definition: JSONValue {
        .object(
            JSONObject([
                "limits": limits.json,
                "features": .array(features.map(\.rawValue).sorted().map(JSONValue.string)),
                "deploy_targets": deployTargets.map { .array($0.map(JSONValue.string)) } ?? .null,
            ]))
    }

    /// Of a database. What a newer program wrote into it beside is left out; what cannot be read allows nothing.
    init(_ name: String, stored text: String, updatedAt: Timestamp) {
        guard let object = try? JSONParser.parse(text).objectValue else {
            self = .unreadable(name)
            return
        }
        let limits = object["limits"].map { String(decoding: JSONWriter.write($0), as: UTF8.self) } ?? ""
        self.init(
            name: name, limits: PlanLimitChanges(stored: limits).applied(to: PlanLimits()),
            features: Set(
                (object["features"]?.arrayValue ?? []).compactMap(\.stringValue).compactMap(PlanFeature.init)),
            deployTargets: object["deploy_targets"].flatMap { targets in
                targets == .null ? nil : (targets.arrayValue ?? []).compactMap(\.stringValue)
            },
            updatedAt: updatedAt)
    }
}
