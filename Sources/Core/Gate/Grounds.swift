// Why the gate says yes. Kept as facts, and made a sentence only for those who ask: the way of a message does not.

package import Model

package enum Grounds: Hashable, Sendable, CustomStringConvertible {
    case everybody
    case ownAccount
    /// Every key and login of the vault may.
    case known
    case login
    case scopes(Caller, Scopes)
    case member(Person, VaultRole, least: VaultRole)
    /// By a role at the instance: there, or in every vault.
    case instance(Person, least: InstanceRole)

    package var description: String {
        switch self {
        case .everybody: "everybody may"
        case .ownAccount: "everybody who signed in may, for themselves"
        case .known: "every caller may"
        case .login: "SMTP users may"
        case .scopes(let caller, let scopes):
            "\(caller.label) has the scope \(scopes.namesInOrder.joined(separator: ", "))"
        case .member(let person, let role, let least):
            "\(person.email) is \(role.rawValue) of the vault, and it takes \(least.rawValue)"
        case .instance(let person, let least):
            "\(person.email) is \(person.role.rawValue) of the instance, and it takes \(least.rawValue)"
        }
    }
}
