// How a vault stands: whether it is in use, and what its plan lets it do.

/// From most to least alive.
package enum VaultState: String, Hashable, Sendable, CaseIterable, Comparable {
    case active
    /// Takes and sends no mail until somebody resumes it; everything can be read and set up.
    case suspended
    /// Put away: it can be read by its members, and nothing changes.
    case archived
    /// Is being deleted, with all that it holds; nobody sees it any more.
    case deleted

    package static func < (left: Self, right: Self) -> Bool { left.rank > right.rank }

    /// 0 is most alive.
    private var rank: Int { Self.allCases.firstIndex(of: self) ?? 0 }
}

/// What a plan opens beside numbers (seed 004). Those that no part of Postern asks for yet are there for the parts that come.
package enum PlanFeature: String, Hashable, Sendable, CaseIterable {
    case singleSignOn = "sso"
    case auditExport = "audit_export"
    case allowedIPs = "ip_allowlist"
    case webhooks
    case approvalWorkflows = "approval_workflows"
    case customSkills = "custom_skills"
    case customDomain = "custom_domain"
    case whiteLabel = "white_label"
    case dataResidency = "data_residency"
}

/// What the gate has to know of a vault.
package struct VaultStanding: Hashable, Sendable {
    package let state: VaultState
    /// Why it is suspended, in the words of who did it.
    package let reason: String?
    /// The plan's name, for what a refusal says.
    package let plan: String
    package let features: Set<PlanFeature>

    package init(state: VaultState, reason: String? = nil, plan: String, features: Set<PlanFeature>) {
        self.state = state
        self.reason = reason
        self.plan = plan
        self.features = features
    }

    /// In use, with everything that there is.
    package static let unlimited = VaultStanding(
        state: .active, plan: "self_hosted", features: Set(PlanFeature.allCases))
}
