// The plans that Postern comes with: the table of seed 004. What it calls 999 calls a minute on one's own server is no limit.

import Model

package enum ShippedPlans {
    /// What a vault has of whom nothing else was said.
    package static let standard = "self_hosted"

    /// From the smallest to the largest.
    package static let all: [Plan] = [
        Plan(
            name: "free",
            limits: PlanLimits([
                .agents: 3, .users: 5, .knowledgeBases: 1, .documentsPerBase: 10, .storageBytes: 100 * megabyte,
                .tokensPerMonth: 1_000_000, .callsPerMinute: 30, .auditRetentionDays: 30,
            ]),
            features: [], deployTargets: ["docker", "local"]),
        Plan(
            name: "team",
            limits: PlanLimits([
                .agents: 25, .users: 50, .knowledgeBases: 10, .documentsPerBase: 100, .storageBytes: 5 * gigabyte,
                .tokensPerMonth: 10_000_000, .callsPerMinute: 120, .auditRetentionDays: 90,
            ]),
            features: [.singleSignOn, .auditExport, .webhooks, .approvalWorkflows, .customSkills],
            deployTargets: ["docker", "vps", "fly", "railway", "local"]),
        Plan(
            name: "enterprise",
            limits: PlanLimits([
                .knowledgeBases: 999, .documentsPerBase: 10_000, .storageBytes: 100 * gigabyte, .callsPerMinute: 600,
                .auditRetentionDays: 365,
            ]),
            features: Set(PlanFeature.allCases), deployTargets: nil),
        Plan(
            name: standard,
            limits: PlanLimits([.knowledgeBases: 999, .documentsPerBase: 10_000, .auditRetentionDays: 365]),
            features: Set(PlanFeature.allCases), deployTargets: nil),
    ]

    package static func plan(_ name: String) -> Plan? { all.first { $0.name == name } }

    private static let megabyte = 1_000_000
    private static let gigabyte = 1_000_000_000
}
