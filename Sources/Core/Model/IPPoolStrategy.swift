// How a message that names no sending addresses comes by them, and what happens when there are none.

package import JSON

package enum IPPoolStrategy: Hashable, Sendable {
    /// The pool of the From field's domain.
    case fromDomain
    /// The pool of this name, whatever the domain.
    case fixed(String)
    /// The pool that the key or SMTP user names.
    case caller
    /// No pool: MailerQ chooses.
    case none
}

extension IPPoolStrategy: SettingValue {
    package static var typeName: String { "one of `from_domain`, `fixed:<pool>`, `caller`, `none`" }

    package init(json: JSONValue) throws(SettingProblem) { try self.init(environment: String(json: json)) }

    package init(environment: String) throws(SettingProblem) {
        switch environment {
        case "from_domain": self = .fromDomain
        case "caller": self = .caller
        case "none": self = .none
        default:
            guard environment.hasPrefix(Self.fixedPrefix) else { throw SettingProblem("expected \(Self.typeName)") }
            let pool = String(environment.dropFirst(Self.fixedPrefix.count))
            guard IPPools.isName(pool) else {
                throw SettingProblem("expected a pool's name behind fixed: (\(IPPools.nameRule))")
            }
            self = .fixed(pool)
        }
    }

    package var json: JSONValue {
        switch self {
        case .fromDomain: .string("from_domain")
        case .fixed(let pool): .string(Self.fixedPrefix + pool)
        case .caller: .string("caller")
        case .none: .string("none")
        }
    }

    private static let fixedPrefix = "fixed:"
}

/// What happens to a message whose pool is not there.
package enum IPPoolMissing: String, SettingChoice {
    /// `no_ip_pool`.
    case refuse
    /// It goes without `ips`: MailerQ chooses.
    case `default`
}
