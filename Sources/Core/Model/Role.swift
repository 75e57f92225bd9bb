// What a person may be: at the instance, and in each vault. Higher holds all that lower does.

/// At the instance: who manages people and vaults. It opens no vault by itself.
package enum InstanceRole: String, Hashable, Sendable, CaseIterable, Comparable {
    /// Signs in, and sees the vaults that it is a member of.
    case viewer
    /// As `viewer`; the usual role of whoever works in vaults.
    case member
    /// Invites and manages people below the owners, makes and suspends vaults.
    case admin
    /// All of it, the last word on vaults and plans included.
    case owner

    package static func < (left: Self, right: Self) -> Bool { left.rank < right.rank }

    private var rank: Int { Self.allCases.firstIndex(of: self) ?? 0 }
}

/// In one vault.
package enum VaultRole: String, Hashable, Sendable, CaseIterable, Comparable {
    /// Reads the log and how the vault is set up.
    case viewer
    /// Looks after callers, pools and messages (seed 000 §08 "operator").
    case `operator`
    /// Settings, secrets, members, queues, the audit log.
    case owner

    package static func < (left: Self, right: Self) -> Bool { left.rank < right.rank }

    private var rank: Int { Self.allCases.firstIndex(of: self) ?? 0 }
}
